import { type Duplex, finished } from 'node:stream';
import { toError } from '../common/errors.ts';
import { splice } from './splice.ts';
import type { StreamPair } from './stream-pairs.ts';

/**
 * Connects to a port of the pod. Must give up by itself after a while.
 *
 * @throws Error whose message the client is told
 */
export type DialPort = (port: number, options: { readonly signal: AbortSignal }) => Promise<Duplex>;

export interface ForwardOptions {
  readonly dial: DialPort;
  /** Whom the port belongs to, for the client's error text. */
  readonly pod: { readonly id: string; readonly uid: string };
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
  /** As in `SpliceOptions`. */
  readonly quietMs?: number;
  /** Whether one stream can be reset alone. Where it cannot, a cut is told by text. Default true. */
  readonly canReset?: boolean;
}

/**
 * Serves one forwarded connection: dials, then joins.
 *
 *     dialing ─refused→ text on error, both reset · joined ─target's end→ FIN on error, FIN on data
 *     · joined ─target cut→ both reset, no text: the other connections of this client go on (kubectl ends at any text)
 *
 * Owns: the pair and the target's connection. Never rejects.
 */
export async function forwardConnection(pair: StreamPair, options: ForwardOptions): Promise<void> {
  const { data, error, port } = pair;
  for (const stream of [data, error]) stream.on('error', () => {});
  error.resume();
  let target: Duplex;
  try {
    target = await options.dial(port, { signal: options.signal });
  } catch (thrown) {
    await refuse(pair, options, toError(thrown).message);
    return;
  }
  target.on('error', () => {});
  const end = await splice(data, target, {
    onTargetEnd: () => error.end(),
    ...(options.quietMs === undefined ? {} : { quietMs: options.quietMs }),
  });
  if (end.cut === 'target') {
    if (options.canReset === false) await refuse(pair, options, end.error?.message ?? 'the connection was cut');
    data.destroy();
    error.destroy();
    return;
  }
  error.end();
  data.end();
  // A slow client still gets everything; only then is what it left open closed.
  await written(data);
  data.destroy();
}

/** Text in upstream's form, then both streams are reset. */
async function refuse({ port, data, error }: StreamPair, { pod }: ForwardOptions, why: string): Promise<void> {
  await said(error, `error forwarding port ${port} to pod ${pod.id}, uid ${pod.uid}: ${why}`);
  data.destroy();
  error.destroy();
}

/** Resolves when the transport has taken `text`, or has gone. */
function said(stream: Duplex, text: string): Promise<void> {
  return new Promise((resolve) => {
    if (!stream.writable) resolve();
    else {
      stream.once('close', resolve);
      stream.write(text, () => resolve());
    }
  });
}

function written(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableFinished) resolve();
    else finished(stream, { readable: false }, () => resolve());
  });
}
