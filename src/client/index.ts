export type { Outcome } from '../common/outcome.ts';
export type { TerminalSize } from '../common/terminal-size.ts';
export { type ExecOptions, type ExecSession, exec, type TransportPreference } from './exec.ts';
export { type ExecTarget, execLocation } from './exec-location.ts';
