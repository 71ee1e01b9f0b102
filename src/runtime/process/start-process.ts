import { ExecPathError, toError } from '../../common/errors.ts';
import { type FifoPool, sharedFifoPool } from './fifo-pool.ts';
import { type Launch, type Launched, launchOnPipes, launchOnTerminal } from './launch.ts';
import { nativePty } from './native-terminal.ts';
import { DEFAULT_SIZE, hostProgram, type ProcessSpec, prepare, validate } from './prepare-launch.ts';
import { launchOnScript } from './script-terminal.ts';
import { type RunningProcess, SessionProcess } from './session-process.ts';
import type { ProcessExit } from './spawn-child.ts';

export interface StartOptions {
  /** Where pipes come from; by default one pool for the whole program. */
  readonly pipes?: FifoPool;
  /** `script`: a terminal by script(1) even where native code is installed. */
  readonly terminal?: 'script';
  /** Tells the end of a wrapper from that of the command; must neither throw nor reject. By default each is the command's. */
  readonly judge?: (exit: ProcessExit) => ProcessExit | Promise<ProcessExit>;
}

/**
 * Starts a process.
 *
 * @throws CommandStartError ERR_COMMAND_NOT_FOUND (exit code 127), ERR_COMMAND_NOT_EXECUTABLE or ERR_COMMAND_START (126)
 * @throws ExecPathError ERR_BAD_REQUEST for a `spec` that breaks its rules; ERR_TERMINAL_UNAVAILABLE
 */
export async function startProcess(spec: ProcessSpec, options: StartOptions = {}): Promise<RunningProcess> {
  validate(spec);
  const launch = prepare(spec);
  const launched = await (spec.tty === undefined
    ? launchOnPipes(launch, spec, options.pipes ?? sharedFifoPool())
    : onTerminal(launch, spec, options));
  const { judge } = options;
  if (judge === undefined) return new SessionProcess(launched, spec);
  const child = { ...launched.child, exited: launched.child.exited.then(judge) };
  return new SessionProcess({ ...launched, child }, spec);
}

function onTerminal(launch: Launch, { tty, takesTerminal }: ProcessSpec, options: StartOptions): Promise<Launched> {
  const wanted = typeof tty === 'object' ? tty : DEFAULT_SIZE;
  const size = { width: wanted.width || DEFAULT_SIZE.width, height: wanted.height || DEFAULT_SIZE.height };
  const pty = options.terminal === 'script' ? undefined : nativePty();
  try {
    if (pty !== undefined)
      return launchOnTerminal(launch, {
        size,
        pty,
        setsid: takesTerminal === true ? undefined : hostProgram('setsid'),
      });
    const pool = options.pipes ?? sharedFifoPool();
    const [script, stty, env] = [hostProgram('script'), hostProgram('stty'), hostProgram('env')];
    return launchOnScript(launch, { size, pool, script, stty, env });
  } catch (cause) {
    const message = `no terminal can be had: ${toError(cause).message}`;
    throw new ExecPathError('ERR_TERMINAL_UNAVAILABLE', message, { hop: 'runtime', cause });
  }
}
