import { afterAll, beforeAll, expect, it } from 'vitest';
import { memoryGrowth, memoryWays } from './flat-memory.ts';
import { HopProcesses } from './hop-processes.ts';

/** Far less than what passes, and more than what Node's garbage collector leaves for later, in MiB. */
const SENT_MIB = 192;
const LIMIT_MIB = 96;

let hops: HopProcesses;
beforeAll(async () => {
  hops = await HopProcesses.start();
});
afterAll(() => hops[Symbol.asyncDispose]());

// The soak run sends 1 GiB by every way.
it.each(memoryWays.slice(0, 1))('keeps the memory of each hop flat over $transport to $pod', async (way) => {
  for (const grown of Object.values(await memoryGrowth(hops, way, SENT_MIB))) expect(grown).toBeLessThan(LIMIT_MIB);
});
