import { Buffer } from 'node:buffer';
import { Readable, Writable } from 'node:stream';
import { Exec, KubeConfig, type V1Status } from '@kubernetes/client-node';
import { deferred } from '../../src/common/deferred.ts';
import { type ExecClient, type ExecRequest, type ExecResult, exitCodeOf } from './exec-client.ts';

type Socket = Awaited<ReturnType<Exec['exec']>>;

const EXEC_DEADLINE_MS = 60_000;

/** Exec through `@kubernetes/client-node`: WebSocket with v5, v4 … v1 on offer. It has no terminal of its own. */
export class ClientNode implements ExecClient {
  readonly name = 'client-node';
  readonly #exec: Exec;

  /** @param kubeconfig path of a kubeconfig file */
  constructor(kubeconfig: string) {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    this.#exec = new Exec(config);
  }

  /** @throws Error when the upgrade fails, or the connection ends without a Status */
  async exec(request: ExecRequest): Promise<ExecResult> {
    const stdout = new Sink(request.onStdout);
    const stderr = new Sink();
    const status = await this.#run(request, stdout, stderr, false);
    // The library ends both sinks at the Status, and has written all output by then.
    await Promise.all([stdout.finished, stderr.finished]);
    // A program would print why the path failed; the library leaves that to its caller.
    const said = Buffer.from(status.reason === 'NonZeroExitCode' ? '' : (status.message ?? ''));
    return { stdout: stdout.bytes(), stderr: Buffer.concat([stderr.bytes(), said]), exitCode: exitCodeOf(status) };
  }

  /**
   * Exec with a terminal of the given size.
   *
   * @returns a live view: `stdout` with what arrived so far, `resize`, and `done` with the Status
   */
  execTty(request: ExecRequest, columns: number, rows: number): ClientNodeTerminal {
    const stdout = new SizedSink(columns, rows);
    const done = this.#run(request, stdout, null, true);
    done.catch(() => undefined);
    return { stdout, resize: (newColumns, newRows) => stdout.resize(newColumns, newRows), done };
  }

  async #run(request: ExecRequest, stdout: Sink, stderr: Sink | null, tty: boolean): Promise<V1Status> {
    const { pod, namespace = 'default', container = '', argv, deadlineMs = EXEC_DEADLINE_MS } = request;
    const { promise, resolve, reject } = deferred<V1Status>();
    const stdin = inputOf(request.stdin);
    const socket = await this.#exec.exec(namespace, pod, container, [...argv], stdout, stderr, stdin, tty, resolve);
    socket.onclose = ({ code }) => reject(new Error(`the connection ended without a Status, close code ${code}`));
    const guard = setTimeout(() => {
      reject(new Error(`${argv.join(' ')} did not end within ${deadlineMs} ms`));
      socket.terminate();
    }, deadlineMs);
    const abort = (): void => socket.terminate();
    request.signal?.addEventListener('abort', abort);
    try {
      return await promise;
    } finally {
      clearTimeout(guard);
      request.signal?.removeEventListener('abort', abort);
      await closed(socket);
    }
  }
}

export interface ClientNodeTerminal {
  readonly stdout: Sink;
  resize(columns: number, rows: number): void;
  readonly done: Promise<V1Status>;
}

/** Collects what the library writes, or hands it over at the taker's pace. */
export class Sink extends Writable {
  readonly #chunks: Buffer[] = [];
  readonly #take: ((chunk: Buffer) => void | Promise<void>) | undefined;
  readonly finished: Promise<void>;

  constructor(take?: (chunk: Buffer) => void | Promise<void>) {
    super();
    this.#take = take;
    this.finished = new Promise((resolve, reject) => {
      this.once('finish', resolve).once('error', reject);
    });
    this.finished.catch(() => undefined);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Resolves when the text so far has `wanted`; rejects at the end of the session without it. */
  waitFor(wanted: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.bytes().includes(wanted)) resolve();
        else if (this.writableFinished) reject(new Error(`no ${JSON.stringify(wanted)} in ${this.bytes().toString()}`));
      };
      this.on('arrival', look).once('finish', look);
      look();
    });
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#take === undefined) this.#chunks.push(Buffer.from(chunk));
    this.emit('arrival');
    Promise.resolve(this.#take?.(chunk)).then(() => done(), done);
  }
}

/** What the library takes for a terminal: a Writable with rows, columns and the event `resize`. */
class SizedSink extends Sink {
  columns: number;
  rows: number;

  constructor(columns: number, rows: number) {
    super();
    this.columns = columns;
    this.rows = rows;
  }

  resize(columns: number, rows: number): void {
    this.columns = columns;
    this.rows = rows;
    this.emit('resize');
  }
}

function inputOf(stdin: Uint8Array | Readable | undefined): Readable | null {
  if (stdin === undefined) return null;
  return stdin instanceof Readable ? stdin : Readable.from(stdin.length === 0 ? [] : [Buffer.from(stdin)]);
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState === socket.CLOSED) resolve();
    else socket.once('close', () => resolve());
  });
}
