import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { ExecPathError, toError, UpgradeError } from '../common/errors.ts';
import { ClientWatch } from './client-watch.ts';
import type { HopLimits } from './hop-limits.ts';
import { lingerAndDestroy } from './linger.ts';
import { type RelayResult, type RelaySide, relay } from './relay.ts';
import { answerUpgrade, requestUpgrade, UPGRADE_ANSWER_TIMEOUT_MS, type UpgradeAnswer } from './upgrade.ts';

export interface UpgradeTarget {
  /** Dials the next hop: TCP, or TLS with ALPN http/1.1. */
  readonly connect: (signal: AbortSignal) => Promise<Duplex>;
  /** Path and query for the next hop; the request's own are not used. */
  readonly path: string;
  /** Default: the request's own. */
  readonly method?: 'GET' | 'POST';
  /** Set on the forwarded request, in place of what the client sent under these names; a list is several lines. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Not forwarded; `authorization` among them where this hop has spent it. Lower-case. */
  readonly dropHeaders?: readonly string[];
}

export interface UpgradeProxyOptions {
  /** Tells the client of a failure of this hop, in the form that its clients know, and closes the socket. */
  readonly refuse: (socket: Duplex, error: ExecPathError) => void;
  /**
   * Answers the client after the next hop's 101, in place of passing that on, and gives what is relayed then: for a client
   * that speaks the same bytes in another wrapping. undefined: the client was refused, and has its answer.
   */
  readonly accept?: (answer: UpgradeAnswer) => RelaySide | undefined;
  /**
   * Tells the client of a refusal of the next hop (400 and above) in its own way. Owns the socket when it answers true;
   * else the refusal is passed on as it is.
   */
  readonly tellRefusal?: (error: UpgradeError) => boolean;
  readonly limits?: Pick<HopLimits, 'upgradeTimeoutMs' | 'lingerMs'>;
  readonly signal?: AbortSignal;
}

export type UpgradeProxyResult =
  | ({ readonly kind: 'relayed' } & RelayResult)
  | { readonly kind: 'refused'; readonly error: ExecPathError };

/**
 * Upstream's upgrade-aware proxy: forwards an upgrade request with all its headers, passes the answer on, and after a
 * 101 copies bytes.
 *
 * A refusal of the next hop (400 and above) is passed on with its body, then both connections are closed: a pipe left
 * open behind one was CVE-2018-1002105. An answer below 400 other than 101 is an error, redirects are never followed.
 *
 * Owns: both sockets. Never rejects.
 *
 * @see apimachinery util/proxy/upgradeaware.go (wire.md 6)
 */
export async function proxyUpgrade(
  { request, socket, head }: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
  target: UpgradeTarget,
  options: UpgradeProxyOptions,
): Promise<UpgradeProxyResult> {
  const { limits = {} } = options;
  const watch = new ClientWatch(socket);
  const gone = options.signal === undefined ? watch.signal : AbortSignal.any([watch.signal, options.signal]);
  let upstream: Duplex | undefined;
  try {
    upstream = await dial(target, gone);
    upstream.on('error', () => {});
    const answer = await requestUpgrade(
      upstream,
      {
        method: target.method ?? (request.method === 'GET' ? 'GET' : 'POST'),
        path: target.path,
        headers: forwardedHeaders(request, target),
      },
      { timeoutMs: limits.upgradeTimeoutMs ?? UPGRADE_ANSWER_TIMEOUT_MS, signal: gone },
    );
    watch.stop();
    // A FIN that came with the answer is not seen again by who reads next.
    if (gone.aborted) throw new ExecPathError('ERR_ABORTED', 'the client left before its upgrade was answered');
    const accept = options.accept ?? (() => switchOver({ socket, head }, answer));
    const downstream = accept(answer);
    if (downstream === undefined) {
      upstream.destroy();
      const message = 'the client asked for an upgrade that it cannot have';
      return { kind: 'refused', error: new ExecPathError('ERR_BAD_REQUEST', message) };
    }
    const relayOptions = {
      ...(limits.lingerMs === undefined ? {} : { lingerMs: limits.lingerMs }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    };
    return {
      kind: 'relayed',
      ...(await relay(downstream, { socket: upstream, head: answer.head }, relayOptions)),
    };
  } catch (thrown) {
    watch.stop();
    upstream?.destroy();
    return { kind: 'refused', error: passOn(socket, toError(thrown), options) };
  }
}

/** The next hop's 101, as it stood on the wire. */
function switchOver(client: RelaySide, { headers }: UpgradeAnswer): RelaySide {
  answerUpgrade(client.socket, headers);
  return client;
}

async function dial(target: UpgradeTarget, signal: AbortSignal): Promise<Duplex> {
  try {
    return await target.connect(signal);
  } catch (cause) {
    throw new ExecPathError('ERR_DIAL', `error dialing backend: ${toError(cause).message}`, { cause });
  }
}

/** All header lines in their order and number; the client's address joins `X-Forwarded-For`. */
function forwardedHeaders(request: IncomingMessage, target: UpgradeTarget): [string, string][] {
  const own = Object.entries(target.headers ?? {}).flatMap(([name, values]) =>
    [values].flat().map((value): [string, string] => [name, value]),
  );
  const left = new Set([
    ...(target.dropHeaders ?? []),
    'x-forwarded-for',
    ...own.map(([name]) => name.toLowerCase()),
    // No body is relayed, so no header may announce one.
    'transfer-encoding',
    'content-length',
  ]);
  const headers: [string, string][] = [];
  for (let index = 0; index + 1 < request.rawHeaders.length; index += 2) {
    const name = request.rawHeaders[index] ?? '';
    if (!left.has(name.toLowerCase())) headers.push([name, request.rawHeaders[index + 1] ?? '']);
  }
  if ((target.method ?? request.method) === 'POST') headers.push(['Content-Length', '0']);
  const { 'x-forwarded-for': before } = request.headers;
  const hops = [before, request.socket.remoteAddress].flat().filter((hop) => hop !== undefined && hop !== '');
  if (hops.length > 0) headers.push(['X-Forwarded-For', hops.join(', ')]);
  return [...headers, ...own];
}

function passOn(socket: Duplex, error: Error, options: UpgradeProxyOptions): ExecPathError {
  if (error instanceof UpgradeError && error.httpStatus >= 400) {
    if (options.tellRefusal?.(error) !== true) passAnswerOn(socket, error);
    return error;
  }
  const told =
    error instanceof UpgradeError && error.httpStatus > 0
      ? new ExecPathError('ERR_UPGRADE_REFUSED', `invalid upgrade response: status code ${error.httpStatus}`, {
          cause: error,
        })
      : error instanceof ExecPathError
        ? error
        : new ExecPathError('ERR_DIAL', error.message, { cause: error });
  if (!socket.destroyed) options.refuse(socket, told);
  return told;
}

/** Answers with what the next hop answered, bounded as it was read, and closes the connection. */
function passAnswerOn(socket: Duplex, { httpStatus, headers, body }: UpgradeError): void {
  const bytes = Buffer.from(body);
  const kept = headers.filter(([name]) => !hopByHop.has(name.toLowerCase()));
  const lines = [...kept, ['Content-Length', String(bytes.length)] as const, ['Connection', 'close'] as const];
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(
    Buffer.concat([
      Buffer.from(`HTTP/1.1 ${httpStatus} ${STATUS_CODES[httpStatus] ?? 'Unknown'}\r\n${head}\r\n`, 'latin1'),
      bytes,
    ]),
  );
  void lingerAndDestroy(socket);
}

/** Headers of an answer that belong to one connection, or that this hop counts anew. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'upgrade',
  'keep-alive',
  'transfer-encoding',
  'content-length',
]);
