import type { Duplex } from 'node:stream';
import { canReadInBulk, type Lease, readInBulk } from './bulk-socket.ts';

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

/**
 * Copies bytes both ways between two connections and decodes nothing.
 *
 * When a side ends, what it sent before is still delivered, then the other side gets its FIN and `lingerMs` to finish;
 * after that both are destroyed. A stalled taker stops its giver, at most {@link RELAY_BUFFER_BYTES} in between.
 *
 * Owns: both sockets, from the call on. Resolves when both are closed; never rejects.
 */
export function relay(
  downstream: RelaySide,
  upstream: RelaySide,
  options: { readonly lingerMs?: number; readonly signal?: AbortSignal } = {},
): Promise<RelayResult> {
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
    const watch = (side: 'downstream' | 'upstream', direction: Direction): void => {
      const socket = sides[side];
      // A reset needs no word of its own: 'close' follows, and whoever waits for a Status learns that none came.
      socket.on('error', () => {});
      socket.once('end', () => {
        sideEnded(side);
        direction.finish();
      });
      socket.once('close', () => {
        sideEnded(side);
        direction.finish();
        open -= 1;
        if (open > 0) return;
        clearTimeout(linger);
        options.signal?.removeEventListener('abort', abort);
        resolve({ bytesUp: up.bytes, bytesDown: down.bytes, endedBy: endedBy ?? side });
      });
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
      ? readInBulk(side.socket, (lease) => this.#pass(lease))
      : side.socket.on('data', (bytes: Buffer) => {
          if (!this.#pass({ bytes, release: () => {} })) side.socket.pause();
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

  #pass({ bytes, release }: Lease): boolean {
    const taker = this.#taker();
    if (this.#finished || !taker.writable) {
      release();
      return true;
    }
    this.bytes += bytes.length;
    taker.write(bytes, () => {
      release();
      if (this.#paused && taker.writableLength < RELAY_BUFFER_BYTES / 2) {
        this.#paused = false;
        this.#giver?.resume();
      }
    });
    this.#paused ||= taker.writableLength >= RELAY_BUFFER_BYTES;
    return !this.#paused;
  }
}
