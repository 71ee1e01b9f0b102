export {
  CommandStartError,
  type LookupOptions,
  lookUpCommand,
  type ProcessUser,
  resolveInside,
} from './command-lookup.ts';
export { FifoPool, sharedFifoPool } from './fifo-pool.ts';
export { IdMap } from './id-map.ts';
export { adoptKept, type Keeping, type KeptSpec, keeperObstacle, readExit, startKept } from './keeper.ts';
export { nativePty } from './native-terminal.ts';
export type { ProcessSpec } from './prepare-launch.ts';
export { ProcessHandle } from './process-handle.ts';
export { bootId, childrenOf, listPids, processStart, readProcess } from './process-table.ts';
export {
  hangUpMarked,
  killMarked,
  type MarkedProcess,
  markedProcesses,
  toolMarker,
} from './process-tree.ts';
export type { KeptHandle, RunningProcess } from './session-process.ts';
export { SESSION_VARIABLE } from './session-variable.ts';
export { quoted } from './shell-quote.ts';
export type { ProcessExit } from './spawn-child.ts';
export { type StartOptions, startProcess } from './start-process.ts';
