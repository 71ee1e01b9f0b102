import type { Duplex } from 'node:stream';
import { CLOSE_LINGER_MS } from './connection.ts';
import { hasFailedWrite } from './failed-write.ts';

/** The longest a peer may keep a closing socket alive by sending, in ms. */
export const CLOSE_LINGER_MAX_MS = 300_000;

export interface LingerOptions {
  /** Longest time without progress: no byte taken by the peer, none received. Default {@link CLOSE_LINGER_MS}. */
  readonly quietMs?: number;
  /** Longest time in all, once the last byte has been handed to the kernel. Default {@link CLOSE_LINGER_MAX_MS}. */
  readonly maxMs?: number;
}

/**
 * Shuts down the write side, reads and discards until the peer's EOF or a deadline, then destroys the socket.
 *
 * Closing at once would be shorter and wrong: a byte that arrives at a closed socket (a client's keepalive PING) makes
 * the kernel answer RST and throw away the tail that the peer has not read yet. As long as the peer sends, it may still
 * be reading, so its bytes prolong the wait up to `maxMs`.
 *
 * Takes over: the socket. Nobody else may read from it or write to it any more.
 *
 * @returns whether all bytes were handed over before the socket was destroyed; settles when it is gone, never rejects
 * @see wire.md 1.7, TCP teardown hazard
 */
export function lingerAndDestroy(socket: Duplex, options: LingerOptions = {}): Promise<boolean> {
  const { quietMs = CLOSE_LINGER_MS, maxMs = CLOSE_LINGER_MAX_MS } = options;
  return new Promise((resolve) => {
    let flushed = socket.writableFinished;
    let pending = socket.writableLength;
    let cap: NodeJS.Timeout | undefined;
    const gone = (): void => {
      clearTimeout(quiet);
      clearTimeout(cap);
      resolve(flushed && !hasFailedWrite(socket));
    };
    const quiet = setTimeout(() => {
      // A write side that still shrinks is a slow reader, not a dead one.
      if (!flushed && socket.writableLength < pending) {
        pending = socket.writableLength;
        quiet.refresh();
      } else socket.destroy();
    }, quietMs).unref();
    const written = (): void => {
      flushed = true;
      quiet.refresh();
      cap = setTimeout(() => socket.destroy(), maxMs).unref();
      if (socket.readableEnded) socket.destroy();
    };
    if (socket.destroyed) {
      gone();
      return;
    }
    socket.once('close', gone);
    socket.on('error', () => {});
    socket.on('data', () => quiet.refresh());
    socket.once('end', () => {
      if (flushed) socket.destroy();
    });
    if (flushed) written();
    else socket.once('finish', written);
    if (!socket.writableEnded) socket.end();
    if (socket.readableEnded && flushed) socket.destroy();
    else socket.resume();
  });
}
