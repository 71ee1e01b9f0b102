import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';

export interface WholeFileOptions {
  /**
   * Wait for the disk, so that it also survives the machine's end. Default: true. Without, it survives the end of this
   * process, whatever ended it.
   */
  readonly sync?: boolean;
}

/** Writes `value` as JSON so that a crash leaves the old file or the new one, never half of it. Mode 0600. */
export function writeWhole(file: string, value: unknown, { sync = true }: WholeFileOptions = {}): void {
  const fresh = `${file}.${process.pid}.new`;
  const fd = openSync(fresh, 'w', 0o600);
  try {
    const bytes = Buffer.from(JSON.stringify(value));
    for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
    if (sync) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(fresh, file);
}

/** Whether `name` is one that {@link writeWhole} has for a moment, and leaves behind when it is killed. */
export function isHalfWritten(name: string): boolean {
  return /\.\d+\.new$/.test(name);
}
