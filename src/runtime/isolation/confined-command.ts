import { statSync } from 'node:fs';
import { CommandStartError, type ProcessSpec, resolveInside } from '../process/index.ts';

/** A terminal has TERM. */
export function withTerminal(spec: ProcessSpec): ProcessSpec {
  return spec.tty === undefined ? spec : { ...spec, env: { TERM: 'xterm', ...spec.env } };
}

/** @throws CommandStartError unless `cwd` is a folder below `root` */
export function requireDirectory(cwd: string, root: string): void {
  try {
    if (statSync(resolveInside(root, cwd)).isDirectory()) return;
  } catch {
    // The error says it.
  }
  throw new CommandStartError('ERR_COMMAND_START', `chdir to cwd (${JSON.stringify(cwd)}) failed: no such directory`);
}
