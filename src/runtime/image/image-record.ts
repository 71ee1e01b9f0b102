import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writeWhole } from '../whole-file.ts';

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
    created: z.string().default(''),
  }),
});

const laterName = z.union([
  z.object({ tag: z.string(), at: z.number() }).strict(),
  z.object({ digest: z.string() }).strict(),
  z.object({ tag: z.string(), removedAt: z.number() }).strict(),
  z.object({ digest: z.string(), removedAt: z.number() }).strict(),
]);

/** What the store keeps about an image, in one file beside its root folder; it never changes. */
export type ImageRecord = z.infer<typeof record>;
/**
 * A name that an image got or lost after its import, in a file of its own: so two who name it at once lose nothing. What
 * came last of a name is what the file says.
 */
export type LaterName = z.infer<typeof laterName>;

/** In the folder of an image, beside `rootfs`. */
export const RECORD = 'image.json';
const NAMES = 'names';

/** @returns undefined when the file is missing or torn */
export function readRecord(file: string): ImageRecord | undefined {
  return record.safeParse(readJson(file)).data;
}

/** A record with the names that came later. @param folder of the image */
export function readWithNames(folder: string): ImageRecord | undefined {
  const found = readRecord(join(folder, RECORD));
  if (found === undefined) return undefined;
  const tags = { ...found.tags };
  const digests = new Set(found.digests);
  for (const name of laterNames(folder)) {
    if ('removedAt' in name) {
      if ('digest' in name) digests.delete(name.digest);
      else delete tags[name.tag];
    } else if ('digest' in name) digests.add(name.digest);
    else tags[name.tag] = Math.max(name.at, tags[name.tag] ?? 0);
  }
  return { ...found, tags, digests: [...digests] };
}

/** Adds a name, or takes one away. @throws ENOENT when the image has been removed meanwhile */
export function writeLaterName(folder: string, name: LaterName): void {
  const key = 'digest' in name ? name.digest : name.tag;
  const names = join(folder, NAMES);
  try {
    mkdirSync(names, { mode: 0o700 });
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
  }
  writeWhole(join(names, createHash('sha256').update(key).digest('hex')), name);
}

function laterNames(folder: string): LaterName[] {
  let files: string[];
  try {
    files = readdirSync(join(folder, NAMES));
  } catch {
    return [];
  }
  return files
    .filter((name) => /^[0-9a-f]{64}$/.test(name))
    .map((name) => laterName.safeParse(readJson(join(folder, NAMES, name))))
    .flatMap(({ data }) => (data === undefined ? [] : [data]));
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
