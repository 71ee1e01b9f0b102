export {
  CommandStartError,
  type LookupOptions,
  lookUpCommand,
  type ProcessUser,
  resolveInside,
} from './command-lookup.ts';
export { FifoPool, sharedFifoPool } from './fifo-pool.ts';
export { childrenOf, processStart } from './process-table.ts';
export { killMarked, SESSION_VARIABLE } from './process-tree.ts';
export type { ProcessExit } from './spawn-child.ts';
export { type ProcessSpec, type RunningProcess, type StartOptions, startProcess } from './start-process.ts';
