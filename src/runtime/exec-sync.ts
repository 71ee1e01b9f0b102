import type { Readable } from 'node:stream';
import { ExecPathError } from '../common/errors.ts';
import { grpcCodes, RuntimeCallError, type RuntimeServiceHandlers } from '../cri/index.ts';
import type { Container } from './container.ts';
import { endsWithin } from './deadline.ts';
import type { RunningProcess } from './process/index.ts';
import type { RuntimeState } from './runtime-state.ts';

/** Of stdout and of stderr each; what comes after that is read and thrown away. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
/** How long output is waited for that a background child holds open after the command has ended, in ms. */
const DRAIN_MS = 2_000;

/**
 * ExecSync: runs a command to its end and answers with its output. What it leaves running in the background is the
 * container's from then on, as a postStart hook may want it, and ends with it; at a timeout everything is killed.
 *
 * @see cri.md 4.4
 */
export function execSyncCall(state: RuntimeState): Pick<RuntimeServiceHandlers, 'execSync'> {
  return {
    execSync: async ({ containerId, cmd, timeout }, { signal }) => {
      state.assertOpen();
      const container = state.containers.get(containerId);
      const process = await start(container, cmd);
      const output = Promise.all([collect(process.stdout), collect(process.stderr)]);
      const seconds = Number(timeout);
      const end = await firstOf(process, seconds * 1000, signal);
      if (end === 'exited') {
        await process.drained(DRAIN_MS);
        const [stdout, stderr] = await output;
        const { code, failure } = await process.exited;
        if (failure !== undefined) throw startFailure(failure);
        return { stdout, stderr, exitCode: code };
      }
      await process.kill();
      await process.drained(DRAIN_MS);
      if (end === 'aborted')
        throw new RuntimeCallError(grpcCodes.Canceled, 'failed to exec in container: context canceled');
      throw new RuntimeCallError(
        grpcCodes.DeadlineExceeded,
        `failed to exec in container: timeout ${seconds}s exceeded: context deadline exceeded`,
      );
    },
  };
}

async function start(container: Container, argv: readonly string[]): Promise<RunningProcess> {
  try {
    return await container.exec({ argv, stdin: false, stdout: true, stderr: true });
  } catch (thrown) {
    if (thrown instanceof RuntimeCallError || !(thrown instanceof ExecPathError)) throw thrown;
    throw startFailure(thrown);
  }
}

function startFailure(cause: ExecPathError): RuntimeCallError {
  const message = `failed to exec in container: unable to start container process: ${cause.message}`;
  const code = cause.code === 'ERR_BAD_REQUEST' ? grpcCodes.InvalidArgument : grpcCodes.Unknown;
  return new RuntimeCallError(code, message, { cause });
}

/** @param timeoutMs 0 for no limit */
async function firstOf(
  process: RunningProcess,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<'exited' | 'timeout' | 'aborted'> {
  let onAbort = (): void => {};
  const aborted = new Promise<void>((resolve) => {
    onAbort = () => resolve();
    if (signal.aborted) resolve();
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    const first = Promise.race([process.exited, aborted]);
    if (timeoutMs <= 0) await first;
    else if (!(await endsWithin(first, timeoutMs))) return 'timeout';
    return signal.aborted ? 'aborted' : 'exited';
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function collect(stream: Readable | undefined): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let room = MAX_OUTPUT_BYTES;
  if (stream === undefined) return Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    if (room > 0) chunks.push(chunk.subarray(0, room));
    room -= Math.min(room, chunk.length);
  });
  await new Promise((resolve) => stream.once('close', resolve));
  return Buffer.concat(chunks);
}
