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

/** What a file of ours ends with, by its descriptor. */
export function readEnd(fd: number): string {
  return readPart(fd, Math.max(0, fstatSync(fd).size - TEXT_BYTES));
}

function readPart(fd: number, position: number): string {
  const bytes = Buffer.alloc(TEXT_BYTES);
  return bytes.toString('utf8', 0, readSync(fd, bytes, { position }));
}
