import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { SESSION_VARIABLE } from '../process/index.ts';
import { TOOL_PATH, toolPath } from './tool.ts';

/** A helper that was not asked for so long ends, in ms; a program that makes many connections finds it there. */
const IDLE_MS = 10_000;

/**
 * The helper's whole program: connects where it is told to, and hands the socket over. It is paused before it connects,
 * or the helper would read what the server says first.
 */
const PROGRAM = `
const { connect } = require('node:net');
const dials = new Map();
process.on('disconnect', () => process.exit());
process.on('message', ({ id, host, port, cancel }) => {
  if (cancel) return void dials.get(id)?.destroy(new Error('canceled'));
  const socket = connect({ host, port, noDelay: true, allowHalfOpen: true }).pause();
  dials.set(id, socket);
  socket.once('close', () => dials.delete(id));
  socket.once('error', ({ code, message }) => process.send({ id, code, message }));
  socket.once('connect', () => {
    dials.delete(id);
    process.send({ id }, socket, () => {});
  });
});
process.send({});
`;

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  readonly signal: AbortSignal;
}

/**
 * Makes TCP connections inside a network namespace. A process has one network namespace for life, so a helper in there
 * connects and hands the socket over by SCM_RIGHTS: from then on the connection is ours alone, at full speed, and stays
 * when the helper ends. The helper holds no rights; it ends with us, or when nobody asks it any more.
 *
 * ```
 * none ─dial→ helper ─idle 10 s | close→ none · helper ─it dies→ none, its dials fail
 * ```
 * Owns: the helper process.
 */
export class NamespaceDialer {
  readonly #argv: readonly string[];
  readonly #marker: string;
  readonly #idleMs: number;
  #helper: Helper | undefined;
  #idle: NodeJS.Timeout | undefined;
  #dialing = 0;
  #isClosed = false;

  /**
   * @param namespace its file
   * @param marker of the helper, so that a runtime which finds it left behind can end it
   */
  constructor(namespace: string, marker: string, { idleMs = IDLE_MS }: { readonly idleMs?: number } = {}) {
    const enter = [`--net=${namespace}`, '--', 'setpriv', '--bounding-set=-all', '--inh-caps=-all', '--nnp', '--'];
    const node = [process.execPath, '--max-semi-space-size=1', '--v8-pool-size=0', '-e', PROGRAM];
    this.#argv = [toolPath('nsenter') ?? 'nsenter', ...enter, ...node];
    this.#marker = marker;
    this.#idleMs = idleMs;
  }

  /** Of the helper that runs now. */
  get helperPid(): number | undefined {
    return this.#helper?.pid;
  }

  /**
   * @param options the signal ends the wait, for the helper's start too; without it a full backlog is waited for
   * @throws Error of the system with its `code`, such as ECONNREFUSED; the signal's reason
   */
  async dial({ host, port, signal }: DialOptions): Promise<Socket> {
    signal.throwIfAborted();
    if (this.#isClosed) throw new Error('the pod is stopped');
    clearTimeout(this.#idle);
    this.#dialing += 1;
    try {
      if (this.#helper?.isGone !== false) this.#helper = new Helper(this.#argv, this.#marker);
      return await this.#helper.dial({ host, port, signal });
    } finally {
      this.#dialing -= 1;
      if (this.#dialing === 0 && !this.#isClosed) this.#rest();
    }
  }

  /** Ends the helper; connections that were handed over stay. Twice is once. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#idle);
    await this.#helper?.close();
  }

  #rest(): void {
    const end = (): void => {
      void this.#helper?.close();
      this.#helper = undefined;
    };
    this.#idle = setTimeout(end, this.#idleMs).unref();
  }
}

/** What the helper answers: a socket comes beside it, or this says why not. */
interface Answer {
  /** Absent in the first one, which says that the helper is there. */
  readonly id?: number;
  readonly code?: string;
  readonly message?: string;
}

type Settle = (answer: Answer, socket: Socket | undefined) => void;

/** One helper process. Owns: it. */
class Helper {
  readonly #child: ChildProcess;
  readonly #ready: Promise<void>;
  readonly #gone: Promise<void>;
  readonly #waiting = new Map<number, Settle>();
  #dials = 0;
  isGone = false;

  constructor([file = '', ...args]: readonly string[], marker: string) {
    const child = spawn(file, args, {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: { PATH: TOOL_PATH, [SESSION_VARIABLE]: marker },
      cwd: '/',
      detached: true,
    });
    this.#child = child;
    // It does not keep this program running.
    child.unref();
    child.channel?.unref();
    this.#gone = new Promise((resolve) => {
      const end = (): void => {
        this.isGone = true;
        for (const settle of this.#waiting.values())
          settle({ message: "the helper in the pod's network ended" }, undefined);
        resolve();
      };
      child.once('error', end);
      child.once('exit', end);
    });
    this.#ready = new Promise((resolve) => {
      child.once('message', () => resolve());
    });
    child.on('message', (answer: Answer, socket: unknown) => {
      const settle = this.#waiting.get(answer.id ?? 0);
      // It comes after its dial was given up.
      if (settle === undefined) (socket as Socket | undefined)?.destroy();
      else settle(answer, socket as Socket | undefined);
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  async dial({ host, port, signal }: DialOptions): Promise<Socket> {
    this.#dials += 1;
    const id = this.#dials;
    let onAbort = (): void => {};
    try {
      return await new Promise<Socket>((resolve, reject) => {
        onAbort = () => {
          this.#say({ id, cancel: true });
          reject(signal.reason as Error);
        };
        signal.addEventListener('abort', onAbort, { once: true });
        this.#waiting.set(id, (answer, socket) => {
          if (socket === undefined) return reject(failure(answer));
          // Half-close is the port-forward's to pass on. Nothing was read yet that could have ended it.
          socket.allowHalfOpen = true;
          socket.setNoDelay(true);
          resolve(socket);
        });
        void this.#ready.then(() => this.#say({ id, host, port }));
      });
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#waiting.delete(id);
    }
  }

  async close(): Promise<void> {
    if (!this.isGone) this.#child.kill('SIGKILL');
    await this.#gone;
  }

  #say(message: Record<string, unknown>): void {
    // Whoever waits hears of a helper that is gone by its exit.
    if (this.#child.connected) this.#child.send(message, () => {});
  }
}

function failure({ code, message }: Answer): Error {
  const error = new Error(message ?? 'no connection');
  return code === undefined ? error : Object.assign(error, { code });
}
