import { afterAll, beforeAll, expect, it } from 'vitest';
import { memoryGrowth, memoryWays } from '../e2e/faults/flat-memory.ts';
import { HopProcesses } from '../e2e/faults/hop-processes.ts';

const SENT_MIB = 1024;
const LIMIT_MIB = 128;

let hops: HopProcesses;
beforeAll(async () => {
  hops = await HopProcesses.start();
});
afterAll(() => hops[Symbol.asyncDispose]());

it.each(memoryWays)(
  'keeps the memory of each hop flat while 1 GiB goes over $transport to $pod and back',
  async (way) => {
    const grown = await memoryGrowth(hops, way, SENT_MIB);
    console.log(`${way.transport} to ${way.pod}, MiB: ${JSON.stringify(grown)}`);
    for (const mebibytes of Object.values(grown)) expect(mebibytes).toBeLessThan(LIMIT_MIB);
  },
);
