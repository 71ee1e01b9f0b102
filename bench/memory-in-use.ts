/** What a process holds after a full collection, in bytes. */
export interface MemoryInUse {
  /** Resident: with everything that the allocator keeps for later. */
  readonly rss: number;
  readonly heapUsed: number;
  /** Outside the heap: buffers and what OpenSSL and others told V8 of. */
  readonly external: number;
}

/** Collects garbage first: `--expose-gc`. Settles after what only falls to a second collection is gone too. */
export async function memoryInUse(): Promise<MemoryInUse> {
  for (let round = 0; round < 3; round += 1) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heapUsed, external };
}
