import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { ExecPathError, type Hop, toError } from '../common/errors.ts';
import type { ClientConfig } from './client-config.ts';
import { ClientTls } from './client-tls.ts';
import { Credentials, type RequestHeaders } from './credentials.ts';
import { type DialStep, dialTcp, dialTls, type TlsDial, tunnelHttp, tunnelSocks } from './dial.ts';
import { explainDialError } from './dial-error.ts';
import type { ExecPluginSurroundings } from './exec-plugin.ts';
import { hostPort } from './host-port.ts';
import { isSecure, proxyFor } from './proxy.ts';
import { raceAbort } from './race-abort.ts';

/** How long name lookup, TCP, proxy and TLS may take together, in ms. */
export const DIAL_TIMEOUT_MS = 30_000;

export interface ConnectOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default {@link DIAL_TIMEOUT_MS}. */
  readonly timeoutMs?: number | undefined;
  /** Who is dialled, for errors. Default: the transport's. */
  readonly hop?: Hop | undefined;
  /** Bytes each way before back-pressure. Default: Node's; 1 MiB pays off for bulk over TLS. */
  readonly highWaterMark?: number | undefined;
}

/** How one config reaches its server. Every connection to an API, for upgrades too, is made by `connect`. */
export interface Transport {
  readonly server: URL;
  readonly namespace: string;
  readonly hop: Hop;
  /**
   * `Authorization` and `Impersonate-*`, to be sent with each request and upgrade.
   *
   * @throws ExecPathError ERR_CREDENTIALS
   */
  headers(): Promise<RequestHeaders>;
  /** After a 401 to `refused`: gets credentials anew. True when another try makes sense. */
  renew(refused: RequestHeaders): Promise<boolean>;
  /** `path` (and query) under the server's own path. */
  url(path: string, query?: URLSearchParams): URL;
  /**
   * A connection to the host of `url` (http, https, ws, wss), through a proxy where one is set; TLS offers http/1.1
   * alone. The caller owns the socket.
   *
   * @throws ExecPathError ERR_DIAL, ERR_DIAL_TIMEOUT, ERR_ABORTED, ERR_CERTIFICATE, ERR_CREDENTIALS
   */
  connect(url: URL, options?: ConnectOptions): Promise<Socket | TLSSocket>;
  /** Grows when new connections use another CA or client certificate: a pool then lets its older ones go. */
  tlsGeneration(): Promise<number>;
}

export interface TransportOptions {
  /** Who is called, for errors. Default `apiserver`. */
  readonly hop?: Hop;
  /** For proxy variables and `SSL_CERT_FILE`. Default `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
  /** What a credential plugin may use. */
  readonly surroundings?: ExecPluginSurroundings;
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number;
}

/** Does no I/O yet: files are read and plugins run when they are needed. */
export function createTransport(config: ClientConfig, options: TransportOptions = {}): Transport {
  const { hop = 'apiserver', env = process.env } = options;
  const credentials = new Credentials(config, {
    surroundings: { env, ...options.surroundings },
    ...(options.now === undefined ? {} : { now: options.now }),
  });
  const tls = new ClientTls(config, credentials, env);
  return {
    server: config.server,
    namespace: config.namespace ?? 'default',
    hop,
    headers: () => credentials.headers(),
    renew: (refused) => credentials.renew(refused),
    url: (path, query) => urlUnder(config.server, path, query),
    connect: (url, connectOptions = {}) =>
      dial(url, { tls, proxy: () => proxyFor(url, config.proxyUrl, env), hop, ...connectOptions }),
    tlsGeneration: async () => (isSecure(config.server) ? tls.generation() : 0),
  };
}

function urlUnder(server: URL, path: string, query?: URLSearchParams): URL {
  const url = new URL(server);
  const [pathname = '', search = ''] = path.split('?', 2);
  url.pathname = server.pathname.replace(/\/+$/, '') + pathname;
  url.search = [search, query?.toString() ?? ''].filter((part) => part !== '').join('&');
  return url;
}

interface DialPlan extends ConnectOptions {
  readonly tls: ClientTls;
  readonly proxy: () => URL | undefined;
}

const HANDSHAKE = 'shaking hands';
/** Some servers, Node's among them, say no in TLS by hanging up. */
const HANDSHAKE_HINT = ' in the middle of the TLS handshake: it may not accept our client certificate';

function wasReset(cause: unknown): boolean {
  return (toError(cause) as NodeJS.ErrnoException).code === 'ECONNRESET';
}

/** Puts one deadline and the caller's signal over all steps, and words to whatever fails. */
async function dial(url: URL, plan: DialPlan): Promise<Socket | TLSSocket> {
  const { signal, timeoutMs = DIAL_TIMEOUT_MS, hop } = plan;
  const control = new AbortController();
  const target = hostPort(url);
  const about = hop === undefined ? {} : { hop };
  const onAbort = (): void => {
    const message = `the caller gave up dialling ${target}`;
    control.abort(new ExecPathError('ERR_ABORTED', message, { ...about, cause: signal?.reason }));
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  let deadline: NodeJS.Timeout | undefined;
  let phase = 'connecting';
  let via = '';
  try {
    control.signal.throwIfAborted();
    const proxy = plan.proxy();
    if (proxy !== undefined) via = ` through the proxy ${proxy.protocol}//${hostPort(proxy)}`;
    // First of all, and outside the deadline: a plugin has one of its own, for a person may have to log in.
    const secure = await raceAbort(secureOptions(url, proxy, plan.tls), control.signal);
    deadline = setTimeout(() => {
      const message = `${target}${via} did not answer within ${timeoutMs} ms (while ${phase})`;
      control.abort(new ExecPathError('ERR_DIAL_TIMEOUT', message, about));
    }, timeoutMs).unref();
    const step = { signal: control.signal, highWaterMark: plan.highWaterMark };
    return await dialSteps(url, proxy, { secure, step, onPhase: (next) => (phase = next) });
  } catch (cause) {
    if (cause instanceof ExecPathError) throw cause;
    const words = explainDialError(cause) + (phase === HANDSHAKE && wasReset(cause) ? HANDSHAKE_HINT : '');
    const message = `cannot connect to ${target}${via}: ${words}`;
    throw new ExecPathError('ERR_DIAL', message, { ...about, cause });
  } finally {
    clearTimeout(deadline);
    signal?.removeEventListener('abort', onAbort);
  }
}

interface SecureOptions {
  readonly target: TlsDial | undefined;
  readonly proxy: TlsDial | undefined;
}

async function secureOptions(url: URL, proxy: URL | undefined, tls: ClientTls): Promise<SecureOptions> {
  return {
    target: isSecure(url) ? await tls.target(url) : undefined,
    proxy: proxy !== undefined && isSecure(proxy) ? await tls.proxy(proxy) : undefined,
  };
}

async function dialSteps(
  url: URL,
  proxy: URL | undefined,
  { secure, step, onPhase }: { secure: SecureOptions; step: DialStep; onPhase: (phase: string) => void },
): Promise<Socket | TLSSocket> {
  let socket: Socket = await dialTcp(proxy ?? url, step);
  if (proxy !== undefined) {
    onPhase('shaking hands with the proxy');
    if (secure.proxy !== undefined) socket = await dialTls(socket, secure.proxy, step);
    onPhase('waiting for the proxy');
    const tunnel = proxy.protocol.startsWith('socks') ? tunnelSocks : tunnelHttp;
    await tunnel(socket, proxy, url, step);
  }
  onPhase(HANDSHAKE);
  return secure.target === undefined ? socket : dialTls(socket, secure.target, step);
}
