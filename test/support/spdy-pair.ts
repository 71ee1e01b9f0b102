import { readFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { FrameDecoder } from '../../src/httpstream/spdy/decoder.ts';
import { FrameEncoder } from '../../src/httpstream/spdy/encoder.ts';
import type { Frame } from '../../src/httpstream/spdy/frame.ts';
import type { IncomingStream, SpdySessionOptions, SpdyStream } from '../../src/httpstream/spdy/index.ts';
import { SpdySession } from '../../src/httpstream/spdy/session.ts';
import { duplexPair } from './duplex-pair.ts';

const fixtures = new URL('../fixtures/wire/spdy/', import.meta.url);

/** The frames of a fixture, one Buffer per line. */
export function hexFixture(name: string): Buffer[] {
  return readFileSync(new URL(name, fixtures), 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => Buffer.from(line.replace(/\s/g, ''), 'hex'));
}

/** The text of a fixture. */
export function textFixture(name: string): string {
  return readFileSync(new URL(name, fixtures), 'utf8');
}

type SideOptions = Omit<SpdySessionOptions, 'role'>;

/** Two sessions on one connection, without a handshake; both are destroyed at the end. */
export class SpdyPair implements AsyncDisposable {
  readonly client: SpdySession;
  readonly server: SpdySession;
  readonly #incoming: IncomingStream[] = [];
  readonly #waiting: ((incoming: IncomingStream) => void)[] = [];

  constructor(
    options: { client?: SideOptions; server?: SideOptions; sockets?: readonly [client: Duplex, server: Duplex] } = {},
  ) {
    const [near, far] = options.sockets ?? duplexPair();
    this.client = new SpdySession(near, { role: 'client', ...options.client });
    const onStream = (incoming: IncomingStream): void => {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#incoming.push(incoming);
      else waiting(incoming);
    };
    this.server = new SpdySession(far, { role: 'server', onStream, ...options.server });
  }

  /** The next stream that the client opens. */
  async incoming(): Promise<IncomingStream> {
    return this.#incoming.shift() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Both ends of a new stream. */
  async open(headers: Record<string, string> = { streamtype: 'data' }): Promise<[near: SpdyStream, far: SpdyStream]> {
    const opening = this.client.openStream(headers);
    const far = (await this.incoming()).accept();
    return [await opening, far];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.destroy();
    this.server.destroy();
    await Promise.all([this.client.closed, this.server.closed]);
  }
}

/** A peer that speaks in frames and keeps what it is sent, for tests that break rules. Reads everything at once. */
export class RawSpdyPeer {
  readonly socket: Duplex;
  readonly encode = new FrameEncoder();
  readonly frames: Frame[] = [];
  /** All bytes as they came. */
  readonly received: Buffer[] = [];
  readonly #decoder = new FrameDecoder();
  readonly #listeners = new Set<() => void>();
  #isEnded = false;

  constructor(socket: Duplex) {
    this.socket = socket;
    socket.on('error', () => {});
    const wake = (): void => {
      for (const listener of this.#listeners) listener();
    };
    const end = (): void => {
      this.#isEnded = true;
      wake();
    };
    socket.on('data', (chunk: Buffer) => {
      this.received.push(chunk);
      for (const frame of this.#decoder.push(chunk)) {
        this.frames.push(frame.type === 'DATA' ? { ...frame, bytes: Buffer.from(frame.bytes) } : frame);
      }
      wake();
    });
    socket.on('end', end).on('close', end);
  }

  send(...frames: Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  data(streamId: number, text: string | Uint8Array, fin = false): Uint8Array {
    const bytes = Buffer.from(text as string);
    return Buffer.concat([this.encode.dataHead(streamId, bytes.length, fin), bytes]);
  }

  /** The first frame that `matches`, now or later. @throws Error when the connection ends before */
  frame<T extends Frame['type']>(
    type: T,
    matches: (frame: Extract<Frame, { type: T }>) => boolean = () => true,
  ): Promise<Extract<Frame, { type: T }>> {
    const isIt = (frame: Frame): frame is Extract<Frame, { type: T }> =>
      frame.type === type && matches(frame as Extract<Frame, { type: T }>);
    return this.#until(() => this.frames.find(isIt), type);
  }

  /** All payload of one stream once `isDone` says so. */
  async dataOf(streamId: number, isDone: (bytes: Buffer, fin: boolean) => boolean): Promise<Buffer> {
    return this.#until(() => {
      const pieces = this.frames.flatMap((frame) =>
        frame.type === 'DATA' && frame.streamId === streamId ? [frame] : [],
      );
      const bytes = Buffer.concat(pieces.map((piece) => piece.bytes));
      return isDone(bytes, pieces.at(-1)?.fin ?? false) ? bytes : undefined;
    }, `DATA of ${streamId}`);
  }

  /** The other side's end of the connection. */
  async ended(): Promise<void> {
    await this.#until(() => (this.#isEnded ? true : undefined), 'the end');
  }

  #until<T>(look: () => T | undefined, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const attempt = (): void => {
        const found = look();
        if (found === undefined && !this.#isEnded) return;
        this.#listeners.delete(attempt);
        if (found === undefined) reject(new Error(`the connection ended before ${what}`));
        else resolve(found);
      };
      this.#listeners.add(attempt);
      attempt();
    });
  }
}

/** A session of ours against a raw peer. */
export function sessionAgainstRaw(
  options: SpdySessionOptions,
  sockets: readonly [Duplex, Duplex] = duplexPair(),
): { session: SpdySession; peer: RawSpdyPeer } & AsyncDisposable {
  const session = new SpdySession(sockets[0], options);
  const peer = new RawSpdyPeer(sockets[1]);
  return {
    session,
    peer,
    async [Symbol.asyncDispose]() {
      session.destroy();
      peer.socket.destroy();
      await session.closed;
    },
  };
}
