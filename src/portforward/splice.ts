import type { Duplex } from 'node:stream';
import { SpdyStream } from '../httpstream/index.ts';

/**
 * After the target has ended, or the client's stream is gone: how long the rest of the connection may stand still before
 * it is given up, in ms. A client that never says its own end must not hold a socket of the pod for ever.
 */
export const HALF_CLOSED_QUIET_MS = 10_000;

export interface SpliceOptions {
  /** Default {@link HALF_CLOSED_QUIET_MS}; 0 where the client's side has no half-close, so that the target's end is all. */
  readonly quietMs?: number;
  /** Called when the target writes no more, before the client is told. */
  readonly onTargetEnd?: () => void;
}

/** How a forwarded connection ended. `cut`: the side that went without saying its end, so bytes may be missing. */
export interface SpliceEnd {
  readonly cut: 'client' | 'target' | undefined;
  /** What the system said of the target. */
  readonly error?: Error;
}

/**
 * Joins a client's stream and the connection to its target, each end passed on as an end and each cut as a cut.
 *
 *     both open ─client's FIN→ the target may go on without limit
 *     both open ─target's FIN→ the client may go on while bytes move (`quietMs`) · any ─a cut→ over, the other side is reset
 *
 * Bytes are held by the two streams' own buffers alone; a slow taker stops its giver.
 *
 * Owns: `target`, destroyed when this resolves. The caller ends `client`; only its FIN is sent here. Never rejects.
 */
export function splice(client: Duplex, target: Duplex, options: SpliceOptions = {}): Promise<SpliceEnd> {
  const { quietMs = HALF_CLOSED_QUIET_MS, onTargetEnd } = options;
  return new Promise((resolve) => {
    let quiet: NodeJS.Timeout | undefined;
    const settle = (end: SpliceEnd): void => {
      clearTimeout(quiet);
      client.off('data', moved).off('end', clientEnded).off('close', clientClosed).unpipe(target);
      target.off('end', targetEnded).off('error', targetFailed).off('close', targetClosed).unpipe(client);
      target.on('error', () => {});
      if (end.cut === 'client' && !target.readableEnded) reset(target);
      else target.destroy();
      resolve(end);
    };
    const hurry = (): void => {
      quiet ??= setTimeout(() => settle({ cut: undefined }), quietMs).unref();
    };
    const moved = (): void => {
      quiet?.refresh();
    };
    const clientEnded = (): void => {
      if (saidItsEnd(client)) target.end();
      else settle({ cut: 'client' });
    };
    const clientClosed = (): void => {
      if (!client.readableEnded || !saidItsEnd(client)) settle({ cut: 'client' });
      // Both its halves are done: what it sent is on its way to the target, which is not waited for long.
      else hurry();
    };
    const targetEnded = (): void => {
      if (!saidItsEnd(target)) {
        settle({ cut: 'target' });
        return;
      }
      onTargetEnd?.();
      client.end();
      hurry();
    };
    // A write to a target that has said everything may fail: that is no loss to the client.
    const targetFailed = (error: Error): void => {
      settle(target.readableEnded ? { cut: undefined } : { cut: 'target', error });
    };
    const targetClosed = (): void => settle({ cut: target.readableEnded ? undefined : 'target' });

    client.on('error', () => {});
    client.on('data', moved).once('end', clientEnded).once('close', clientClosed);
    target.once('end', targetEnded).once('error', targetFailed).once('close', targetClosed);
    if (client.destroyed) settle({ cut: client.readableEnded && saidItsEnd(client) ? undefined : 'client' });
    else if (target.destroyed) settle({ cut: 'target', ...(target.errored && { error: target.errored }) });
    else {
      client.pipe(target, { end: false });
      target.pipe(client, { end: false });
    }
  });
}

/** A reset and a lost connection look like an end to readers of SPDY; only a FIN says that all has been read. */
function saidItsEnd(stream: Duplex): boolean {
  return !(stream instanceof SpdyStream) || stream.finByPeer;
}

/**
 * Ends a connection so that its peer sees a reset, where the stream can say it.
 *
 * Not while a FIN is on its way: libuv refuses to reset then, and Node 20 never closes the descriptor after that.
 */
export function reset(stream: Duplex): void {
  stream.on('error', () => {});
  if (stream.writableEnded && !stream.writableFinished) stream.destroy();
  else if ('resetAndDestroy' in stream && typeof stream.resetAndDestroy === 'function') stream.resetAndDestroy();
  else stream.destroy();
}
