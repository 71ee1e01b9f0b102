import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** More, in bytes, is not looked at of a file that something of a container may have made long. */
const TEXT_BYTES = 4096;

/** @returns nothing of a file that cannot be read */
export function readText(file: string): string {
  try {
    const fd = openSync(file, 'r');
    try {
      return readPart(fd, 0).trim();
    } finally {
      closeSync(fd);
    }
  } catch {
    return '';
  }
}

/** What a file of ours ends with, by its descriptor. @returns nothing of one that cannot be read */
export function readEnd(fd: number): string {
  try {
    return readPart(fd, Math.max(0, fstatSync(fd).size - TEXT_BYTES));
  } catch {
    return '';
  }
}

function readPart(fd: number, position: number): string {
  const bytes = Buffer.alloc(TEXT_BYTES);
  return bytes.toString('utf8', 0, readSync(fd, bytes, { position }));
}
