import type { Stats } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';

/** An answer is good for so long, in ms: to count a large folder reads each below it. */
const FRESH_MS = 10_000;
const BLOCK_BYTES = 512;

export interface FolderUsage {
  readonly bytes: bigint;
  readonly inodes: bigint;
}

/** What a folder takes on its disk, with all that is below it: one count at a time, and not more often than every 10 s. */
export class FolderMeter {
  readonly #folder: string;
  #counting: Promise<FolderUsage> | undefined;
  #countedAt = Number.NEGATIVE_INFINITY;

  constructor(folder: string) {
    this.#folder = folder;
  }

  read(): Promise<FolderUsage> {
    if (this.#counting === undefined || performance.now() - this.#countedAt > FRESH_MS) {
      this.#countedAt = performance.now();
      this.#counting = countBelow(this.#folder);
    }
    return this.#counting;
  }
}

/** Never rejects: what goes away meanwhile is not counted. */
async function countBelow(root: string): Promise<FolderUsage> {
  const seen = new Set<number>();
  let bytes = 0n;
  const folders = [root];
  const count = (stats: Stats): void => {
    if (seen.has(stats.ino)) return;
    seen.add(stats.ino);
    bytes += BigInt(stats.blocks * BLOCK_BYTES);
  };
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    try {
      for await (const entry of await opendir(folder)) {
        const path = join(folder, entry.name);
        count(await lstat(path));
        if (entry.isDirectory()) folders.push(path);
      }
    } catch {
      // Removed while we looked.
    }
  }
  return { bytes, inodes: BigInt(seen.size) };
}
