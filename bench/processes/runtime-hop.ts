import { type RunningRuntime, startRuntime } from '../../src/runtime/index.ts';
import { memoryInUse } from '../memory-in-use.ts';
import { answerParent } from '../worker.ts';

let runtime: RunningRuntime | undefined;

// Hop 4 as a process of its own.
answerParent({
  start: async (options: { stateDir: string; isolation?: boolean }) => {
    runtime = await startRuntime(options);
  },
  endpoint: () => runtime?.endpoints[0],
  memory: memoryInUse,
  close: () => runtime?.close(),
});
