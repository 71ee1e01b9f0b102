import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { z } from 'zod';

const record = z.object({
  id: z.string(),
  /** Full references with a tag, and when each was given to this image: the latest image has it. */
  tags: z.record(z.string(), z.number()),
  /** `name@sha256:…` */
  digests: z.array(z.string()),
  sizeBytes: z.number(),
  config: z.object({
    user: z.string(),
    env: z.array(z.string()),
    entrypoint: z.array(z.string()),
    cmd: z.array(z.string()),
    workingDir: z.string(),
    stopSignal: z.string(),
  }),
});

/** What the store keeps about an image, in one file beside its root folder. */
export type ImageRecord = z.infer<typeof record>;

/** @returns undefined when the file is missing or torn */
export function readRecord(file: string): ImageRecord | undefined {
  try {
    return record.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
}

/** Writes `value` as JSON so that a crash leaves the old file or the new one, never half of it. Mode 0600. */
export function writeWhole(file: string, value: unknown): void {
  const fresh = `${file}.${process.pid}.new`;
  const fd = openSync(fresh, 'w', 0o600);
  try {
    writeSync(fd, JSON.stringify(value));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(fresh, file);
}
