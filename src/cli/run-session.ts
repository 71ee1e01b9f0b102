import { randomUUID } from 'node:crypto';
import { type ExecOptions, exec, startFailureCode } from '../client/index.ts';
import type { Outcome } from '../common/outcome.ts';
import { PATH_FAILURE_CODE } from './exit-code.ts';
import { type FailureWords, failureText } from './failure-text.ts';
import type { Interruption } from './interruption.ts';
import type { Io } from './io.ts';
import { joinLocalStreams, terminalSize } from './local-streams.ts';
import { enterRawMode } from './raw-terminal.ts';
import { startRemedy } from './remedy.ts';

/** The rows of the error table for what a runtime says in its own words. */
const startErrors = { 126: 'ERR_COMMAND_NOT_EXECUTABLE', 127: 'ERR_COMMAND_NOT_FOUND' } as const;

/** kubectl's words. */
export const NO_TERMINAL = 'Unable to use a TTY - input is not a terminal or the right kind of file\n';

/**
 * Runs one command on the local streams and says on stderr how it ended.
 *
 * @param options with `tty` the local terminal is in raw mode meanwhile; without a terminal there is no TTY
 * @param interruption ends the session, also when nobody reads stdout any more
 * @returns the exit code: the command's own, 126, 127, 125, or 128 + n after a signal
 */
export async function runSession(options: ExecOptions, io: Io, interruption: Interruption): Promise<number> {
  interruption.endWithReaderOf(io.out);
  const sessionId = options.sessionId ?? randomUUID();
  const tty = options.tty === true && io.inIsTerminal;
  if (options.tty === true && !tty) io.err.write(NO_TERMINAL);
  const restore = tty ? enterRawMode(io) : () => {};
  const words = { namespace: options.namespace, pod: options.pod, container: options.container, sessionId };
  try {
    const { signal } = interruption;
    const session = await exec({ ...options, tty, sessionId, signal, size: terminalSize(io) });
    await joinLocalStreams(session, io);
    const outcome = await session.completed;
    restore();
    return tell(outcome, io, interruption, { ...words, program: options.command[0] });
  } catch (thrown) {
    restore();
    if (interruption.exitCode === undefined) io.err.write(failureText(thrown, words));
    return interruption.exitCode ?? PATH_FAILURE_CODE;
  } finally {
    restore();
  }
}

function tell(outcome: Outcome, io: Io, { exitCode }: Interruption, words: FailureWords): number {
  if (outcome.kind === 'exited') {
    if (outcome.code !== 0) io.err.write(`command terminated with exit code ${outcome.code}\n`);
    return outcome.code;
  }
  if (exitCode !== undefined) return exitCode;
  const code = startFailureCode(outcome.error);
  const about = code === undefined ? {} : { code: startErrors[code], remedy: startRemedy(code, words) };
  io.err.write(failureText(outcome.error, { ...words, hop: outcome.hop, ...about }));
  return code ?? PATH_FAILURE_CODE;
}
