import type { Stats } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';

/** An answer is good for so long, in ms: to count a large layer reads each of its folders. */
const FRESH_MS = 10_000;
const BLOCK_BYTES = 512;

export interface LayerUsage {
  readonly bytes: bigint;
  readonly inodes: bigint;
}

/** What a folder takes on its disk, with all that is below it: one count at a time, and not more often than every 10 s. */
export class LayerMeter {
  readonly #folder: string;
  #counting: Promise<LayerUsage> | undefined;
  #countedAt = Number.NEGATIVE_INFINITY;

  constructor(folder: string) {
    this.#folder = folder;
  }

  read(): Promise<LayerUsage> {
    if (this.#counting === undefined || performance.now() - this.#countedAt > FRESH_MS) {
      this.#countedAt = performance.now();
      this.#counting = countBelow(this.#folder);
    }
    return this.#counting;
  }
}

/** Never rejects: what goes away meanwhile is not counted. */
async function countBelow(root: string): Promise<LayerUsage> {
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
