import { Buffer } from 'node:buffer';
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { deferred } from '../../src/common/deferred.ts';

/** What a finished process left. */
export interface ChildResult {
  /** null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Empty when `onStdout` took the bytes. */
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export interface ChildOptions {
  /** Default: closed at once. */
  readonly stdin?: Uint8Array | Readable;
  /** The whole environment. Default: that of this process. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Kills the process group; the result then has a signal. */
  readonly signal?: AbortSignal;
  /** Then the process group is killed and the call rejects. Default 60,000 ms. */
  readonly deadlineMs?: number;
  /** Takes stdout chunk by chunk; the next chunk is read when the promise settles. */
  readonly onStdout?: (chunk: Buffer) => void | Promise<void>;
}

/** Bytes of stdout or stderr that are kept; more is an error, never a silent cut. */
const CAPTURE_BYTES = 64 * 1024 * 1024;
/** Bytes of a background process's log that are kept, from the end. */
const LOG_BYTES = 1024 * 1024;
/** How long a process may take to end after SIGTERM, in ms. */
const STOP_GRACE_MS = 5000;

const living = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of living) killGroup(child, 'SIGKILL');
});

/**
 * Runs a program to its end. A non-zero exit is a result, not an error.
 *
 * Owns: the process group; nothing of it that kept the group outlives a deadline.
 *
 * @throws Error when the program cannot be started, the deadline passes or it prints more than 64 MiB
 */
export async function runChild(
  file: string,
  args: readonly string[],
  options: ChildOptions = {},
): Promise<ChildResult> {
  const child = launch(file, args, options);
  const deadlineMs = options.deadlineMs ?? 60_000;
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const guard = setTimeout(() => {
    killGroup(child, 'SIGKILL');
    const said = Buffer.concat(stderr).toString();
    // A grandchild in a group of its own may still hold the pipes.
    const late = new Error(`${file} ${args.join(' ')} did not end within ${deadlineMs} ms: ${said}`);
    child.stdout.destroy(late);
    child.stderr.destroy(late);
  }, deadlineMs);
  const abort = (): void => killGroup(child, 'SIGKILL');
  options.signal?.addEventListener('abort', abort);
  try {
    const [end] = await Promise.all([
      exitOf(child),
      options.onStdout === undefined ? collect(child.stdout, stdout) : handOver(child.stdout, options.onStdout),
      collect(child.stderr, stderr),
      feed(child, options.stdin),
    ]);
    return { ...end, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) };
  } finally {
    clearTimeout(guard);
    options.signal?.removeEventListener('abort', abort);
    if (child.exitCode === null && child.signalCode === null) killGroup(child, 'SIGKILL');
  }
}

/** As {@link runChild}, and gives stdout as text; an exit code other than 0 is an error that quotes stderr. */
export async function mustRun(file: string, args: readonly string[], options: ChildOptions = {}): Promise<string> {
  const result = await runChild(file, args, options);
  if (result.exitCode === 0) return result.stdout.toString();
  const end = result.signal ?? `exit code ${result.exitCode}`;
  throw new Error(
    `${file} ${args.join(' ')} ended with ${end}: ${result.stderr.toString() || result.stdout.toString()}`,
  );
}

/** A program that runs beside the test. Owns: its process group. */
export class BackgroundChild implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #name: string;
  readonly #watchers = new Set<() => void>();
  #log = '';
  #isOver = false;
  /** Settles when the process is gone, never rejects. */
  readonly exited: Promise<{ exitCode: number | null; signal: NodeJS.Signals | null }>;

  constructor(file: string, args: readonly string[], options: Pick<ChildOptions, 'env' | 'cwd'> = {}) {
    this.#name = `${file} ${args.join(' ')}`;
    this.#child = launch(file, args, options);
    this.#child.stdin.end();
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => this.#append(text));
    }
    this.exited = exitOf(this.#child).catch((error: unknown) => {
      this.#append(String(error));
      return { exitCode: null, signal: null };
    });
    // After `exit`, and after the last of its output.
    this.#child.once('close', () => {
      this.#isOver = true;
      this.#append('');
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** The last MiB of stdout and stderr, in order of arrival. */
  get log(): string {
    return this.#log;
  }

  /**
   * Waits until the log has a match.
   *
   * @throws Error with the log when the process ends or `deadlineMs` passes first
   */
  async waitForLog(pattern: RegExp, deadlineMs = 30_000): Promise<RegExpExecArray> {
    const { promise, resolve, reject } = deferred<RegExpExecArray>();
    const look = (): void => {
      const match = pattern.exec(this.#log);
      if (match !== null) resolve(match);
      else if (this.#isOver) reject(new Error(`${this.#name} ended before ${pattern}: ${this.#log}`));
    };
    const guard = setTimeout(() => {
      reject(new Error(`${this.#name} did not print ${pattern} within ${deadlineMs} ms: ${this.#log}`));
    }, deadlineMs);
    this.#watchers.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(guard);
      this.#watchers.delete(look);
    }
  }

  /** Sends one signal to the process alone. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** SIGTERM, and SIGKILL to the group after 5 s. Twice is once. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const grace = new AbortController();
    const late = delay(STOP_GRACE_MS, undefined, { signal: grace.signal, ref: false }).then(
      () => killGroup(this.#child, 'SIGKILL'),
      () => undefined,
    );
    await this.exited;
    grace.abort();
    await late;
  }

  /** `kill -9` of the whole group; resolves when the process is gone. */
  async kill(): Promise<void> {
    killGroup(this.#child, 'SIGKILL');
    await this.exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #append(text: string): void {
    this.#log = (this.#log + text).slice(-LOG_BYTES);
    for (const look of this.#watchers) look();
  }
}

/** Each program leads its own process group, so that what it started can be ended with it. */
function launch(file: string, args: readonly string[], options: ChildOptions): ChildProcessWithoutNullStreams {
  const { env, cwd } = options;
  const child = spawn(file, args, { detached: true, stdio: 'pipe', ...(env && { env }), ...(cwd && { cwd }) });
  living.add(child);
  child.once('close', () => living.delete(child));
  child.once('error', () => living.delete(child));
  return child;
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // ESRCH: the group is gone already.
  }
}

async function exitOf(child: ChildProcess): Promise<{ exitCode: number | null; signal: NodeJS.Signals | null }> {
  const [exitCode, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return { exitCode, signal };
}

async function feed(child: ChildProcessWithoutNullStreams, stdin: Uint8Array | Readable | undefined): Promise<void> {
  const source = stdin instanceof Readable ? stdin : Readable.from(stdin === undefined ? [] : [stdin]);
  // A program may end without reading its input: then EPIPE says nothing that the exit code does not.
  await pipeline(source, child.stdin).catch(() => undefined);
}

async function collect(stream: Readable, chunks: Buffer[]): Promise<void> {
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > CAPTURE_BYTES) throw new Error(`output exceeds ${CAPTURE_BYTES} bytes: pass onStdout`);
    chunks.push(chunk);
  }
}

async function handOver(stream: Readable, take: (chunk: Buffer) => void | Promise<void>): Promise<void> {
  for await (const chunk of stream as AsyncIterable<Buffer>) await take(chunk);
}
