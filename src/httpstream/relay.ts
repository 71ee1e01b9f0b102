import type { Duplex } from 'node:stream';
import { canReadInBulk, readInBulk } from './bulk-socket.ts';
import { readOnAfterFailedWrite } from './failed-write.ts';
import type { Lease } from './read-buffers.ts';

/** Bytes that one direction holds for a slow taker before it stops reading the giver. */
export const RELAY_BUFFER_BYTES = 1024 * 1024;

/** After one side ended: how long the other may still take what is on its way, in ms. */
export const RELAY_LINGER_MS = 10_000;

/** One side of a relay: its connection and what was read from it beyond the HTTP head. */
export interface RelaySide {
  readonly socket: Duplex;
  readonly head: Uint8Array;
}

export interface RelayResult {
  /** Bytes from downstream (the user) to upstream (the container). */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** The side whose connection ended first. */
  readonly endedBy: 'downstream' | 'upstream' | 'abort';
}

export interface RelayOptions {
  /** Default {@link RELAY_LINGER_MS}. */
  readonly lingerMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Copies bytes both ways between two connections and decodes nothing.
 *
 * When a side ends, or resets as upstream may behind its last word, what it sent before is still delivered, then the other
 * side gets its FIN and `lingerMs` to finish; after that both are destroyed. A stalled taker stops its giver, at most {@link RELAY_BUFFER_BYTES} in between.
 *
 * Owns: both sockets, from the call on. Resolves when both are closed; never rejects.
 */
export async function relay(
  downstream: RelaySide,
  upstream: RelaySide,
  options: RelayOptions = {},
): Promise<RelayResult> {
  const writing = [downstream, upstream].filter(({ socket }) => socket.writableLength > 0);
  if (writing.length > 0) await Promise.all(writing.map(({ socket }) => flushed(socket)));
  return await copyBothWays(withBuffered(downstream), withBuffered(upstream), options);
}

/** Resolves when what was written before has left the process, or the socket is gone: only then can its handle move. */
function flushed(socket: Duplex): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', resolve).write('', () => {
      socket.off('close', resolve);
      resolve();
    });
  });
}

/** What the socket has read already stands behind the head. */
function withBuffered({ socket, head }: RelaySide): RelaySide {
  const early: unknown = socket.readableLength > 0 ? socket.read() : null;
  return early instanceof Uint8Array ? { socket, head: Buffer.concat([head, early]) } : { socket, head };
}

function copyBothWays(downstream: RelaySide, upstream: RelaySide, options: RelayOptions): Promise<RelayResult> {
  return new Promise((resolve) => {
    let endedBy: RelayResult['endedBy'] | undefined;
    let linger: NodeJS.Timeout | undefined;
    let open = 2;

    const up: Direction = new Direction(() => sides.upstream);
    const down: Direction = new Direction(() => sides.downstream);
    const sides = { downstream: up.readFrom(downstream), upstream: down.readFrom(upstream) };

    const destroyBoth = (): void => {
      sides.downstream.destroy();
      sides.upstream.destroy();
    };
    const sideEnded = (by: RelayResult['endedBy']): void => {
      endedBy ??= by;
      linger ??= setTimeout(destroyBoth, options.lingerMs ?? RELAY_LINGER_MS).unref();
    };
    const abort = (): void => {
      endedBy ??= 'abort';
      destroyBoth();
    };
    for (const { socket } of [downstream, upstream]) allowHalfOpen(socket);
    readOnAfterFailedWrite(sides.upstream);
    const watch = (side: 'downstream' | 'upstream', direction: Direction): void => {
      const socket = sides[side];
      // A reset needs no word of its own: 'close' follows, and whoever waits for a Status learns that none came.
      socket.on('error', () => {});
      const ended = (): void => {
        sideEnded(side);
        direction.finish();
      };
      const closed = (): void => {
        ended();
        open -= 1;
        if (open > 0) return;
        clearTimeout(linger);
        options.signal?.removeEventListener('abort', abort);
        resolve({ bytesUp: up.bytes, bytesDown: down.bytes, endedBy: endedBy ?? side });
      };
      if (socket.closed) queueMicrotask(closed);
      else socket.once('end', ended).once('close', closed);
      if (socket.readableEnded) ended();
    };
    watch('downstream', up);
    watch('upstream', down);
    options.signal?.addEventListener('abort', abort, { once: true });
    if (options.signal?.aborted) abort();
    up.begin(downstream.head);
    down.begin(upstream.head);
  });
}

/** A FIN must not close the way back before the linger is over; servers with TLS default to that. */
function allowHalfOpen(socket: Duplex): void {
  if ('allowHalfOpen' in socket) socket.allowHalfOpen = true;
}

/** One direction of a relay: from a giver, which it reads, to a taker. */
class Direction {
  bytes = 0;
  #giver: Duplex | undefined;
  #paused = false;
  #finished = false;
  readonly #taker: () => Duplex;

  constructor(taker: () => Duplex) {
    this.#taker = taker;
  }

  /** @returns the socket to use from now on in place of `side.socket` */
  readFrom(side: RelaySide): Duplex {
    this.#giver = canReadInBulk(side.socket)
      ? readInBulk(side.socket, { take: (lease) => this.#pass(lease), wantsMore: () => !this.#paused })
      : side.socket.on('data', (bytes: Buffer) => {
          this.#pass({ bytes, release: () => {} });
          if (this.#paused) side.socket.pause();
        });
    return this.#giver;
  }

  begin(head: Uint8Array): void {
    if (head.length > 0) this.#pass({ bytes: Buffer.from(head), release: () => {} });
    if (!this.#paused) this.#giver?.resume();
  }

  /** The giver is done: the taker gets its FIN behind everything passed so far. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#taker().end();
  }

  #pass({ bytes, release }: Lease): void {
    const taker = this.#taker();
    if (this.#finished || !taker.writable) {
      release();
      return;
    }
    this.bytes += bytes.length;
    let isReleased = false;
    taker.write(bytes, () => {
      if (!isReleased) release();
      if (this.#paused && taker.writableLength < RELAY_BUFFER_BYTES / 2) {
        this.#paused = false;
        this.#giver?.resume();
      }
    });
    // The kernel took all at once, and the callback comes a tick late: so the next read finds the same buffer in cache.
    if (taker.writableLength === 0) {
      isReleased = true;
      release();
    }
    this.#paused ||= taker.writableLength >= RELAY_BUFFER_BYTES;
  }
}
