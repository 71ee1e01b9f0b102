import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { toError } from '../common/errors.ts';
import { isSessionId } from '../common/session-id.ts';
import type { CriClient } from '../cri/index.ts';
import { type Listener, listen, refuseUpgrade, type TlsSource } from '../httpstream/index.ts';
import { checkOrigin } from '../identity/index.ts';
import { type Authenticate, type Authorize, accessOf, forbiddenText } from './access.ts';
import { serveLogs } from './log-route.ts';
import { allContainersOf } from './pod-containers.ts';
import { methodsOf, parseRoute, type Route } from './routes.ts';
import type { CommandStarter, SessionEnd, Upgrade } from './running-command.ts';
import type { RuntimeView } from './runtime-view.ts';
import { kubeletAnswer, runningContainer, serveAttach, serveExec, servePodPorts } from './streaming-route.ts';
import type { SyncLoop } from './sync-loop.ts';

/** CRI's word for a command that may take as long as it likes; its output is bounded by the runtime. */
const NO_TIMEOUT = 0n;

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsSource | undefined;
  /** Default HEADERS_TIMEOUT_MS. */
  readonly headersTimeoutMs?: number | undefined;
  readonly cri: CriClient;
  readonly view: RuntimeView;
  readonly starter: CommandStarter;
  readonly loop: SyncLoop;
  readonly authenticate: Authenticate;
  readonly authorize: Authorize;
  /** Told of each session's beginning and end. */
  readonly onSession?: (session: SessionReport) => void;
  readonly signal: AbortSignal;
}

export interface SessionReport extends Partial<SessionEnd> {
  readonly sessionId: string;
  readonly user: string;
  readonly target: string;
}

type Admission =
  | { readonly admitted: true; readonly route: Route; readonly user: string; readonly url: URL }
  | { readonly admitted: false; readonly status: number; readonly text: string; readonly headers?: [string, string][] };

/** The kubelet's HTTP API on one port: streaming and read endpoints. */
export function serveKubelet(options: ServerOptions): Promise<Listener> {
  const server = new KubeletServer(options);
  return listen({
    host: options.host,
    port: options.port,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    ...(options.headersTimeoutMs === undefined ? {} : { headersTimeoutMs: options.headersTimeoutMs }),
    onRequest: (request, response) => void server.request(request, response),
    onUpgrade: (request, socket, head) => void server.upgrade(request, socket, head),
  });
}

class KubeletServer {
  readonly #options: ServerOptions;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  async request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    try {
      const admission = await this.#admit(request);
      if (!admission.admitted) {
        for (const [name, value] of admission.headers ?? []) response.setHeader(name, value);
        sendText(response, admission.status, admission.text);
        return;
      }
      await this.#read(admission.route, admission.url, response);
    } catch (thrown) {
      const { status, headers } = kubeletAnswer(thrown);
      for (const [name, value] of headers) response.setHeader(name, value);
      sendText(response, status, toError(thrown).message);
    }
  }

  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => {});
    try {
      checkOrigin(request, []);
      const admission = await this.#admit(request);
      if (!admission.admitted) {
        refuseUpgrade(socket, admission.status, admission.text, admission.headers);
        return;
      }
      const { route, url, user } = admission;
      if (request.headers['transfer-encoding'] !== undefined) {
        refuseUpgrade(socket, 400, 'an upgrade request must not have a chunked body');
        return;
      }
      if (!isStream(route)) {
        refuseUpgrade(socket, 501, `podwire's kubelet does not serve ${route.kind} by an upgrade yet`);
        return;
      }
      const { onSession } = this.#options;
      const sessionId = sessionIdOf(request);
      const container = route.kind === 'portForward' ? '' : `/${route.container}`;
      const report = { sessionId, user, target: `${route.namespace}/${route.pod}${container}` };
      onSession?.(report);
      const end = await this.#stream({ request, socket, head }, route, url.searchParams, sessionId);
      onSession?.({ ...report, ...end });
    } catch (thrown) {
      const { status, headers } = kubeletAnswer(thrown);
      refuseUpgrade(socket, status, toError(thrown).message, headers);
    }
  }

  async #stream(upgrade: Upgrade, route: StreamRoute, query: URLSearchParams, sessionId: string): Promise<SessionEnd> {
    const { view, starter, signal } = this.#options;
    const context = { view, starter, sessionId, signal };
    switch (route.kind) {
      case 'exec':
        return await serveExec(upgrade, route, query, context);
      case 'attach':
        return await serveAttach(upgrade, route, query, { ...context, hasTty: this.#hasTty(route) });
      case 'portForward':
        return await servePodPorts(upgrade, route, query, context);
    }
  }

  /** What the container's spec says; undefined for a pod that runs in the runtime by somebody else's will. */
  #hasTty({
    namespace,
    pod: name,
    container,
  }: Extract<Route, { kind: 'attach' | 'exec' | 'run' }>): boolean | undefined {
    const known = this.#options.loop.pods.find(
      ({ pod, source }) =>
        (source === 'file' || source === 'api') && pod.metadata.namespace === namespace && pod.metadata.name === name,
    );
    const spec = known && allContainersOf(known.pod).find((one) => one.name === container);
    return spec && spec.tty === true;
  }

  async #admit(request: IncomingMessage): Promise<Admission> {
    const { authenticate, authorize } = this.#options;
    const url = URL.parse(request.url ?? '/', 'http://kubelet');
    const route = url === null ? undefined : parseRoute(url.pathname);
    const user = await authenticate(request);
    if (url === null || route === undefined) return { admitted: false, status: 404, text: '404 page not found' };
    const method = request.method ?? '';
    const allowed = methodsOf(route);
    if (!allowed.includes(method)) {
      return { admitted: false, status: 405, text: 'Method Not Allowed', headers: [['Allow', allowed.join(', ')]] };
    }
    const access = accessOf(route, method);
    if (!(await authorize(user, access))) return { admitted: false, status: 403, text: forbiddenText(user, access) };
    return { admitted: true, route, user: user.name, url };
  }

  /** `/run`: the command has no limit but its client, and ends when that leaves. */
  async #run(route: RunRoute, typed: string, response: ServerResponse): Promise<void> {
    const { view, cri, signal: stopping } = this.#options;
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('the client left')));
    const signal = AbortSignal.any([gone.signal, stopping]);
    const pod = await view.find(route, { signal });
    const containerId = runningContainer(pod, route.container);
    const result = await cri.runtime.execSync({ containerId, cmd: typed.split(' '), timeout: NO_TIMEOUT }, { signal });
    const output = Buffer.concat([result.stdout, result.stderr]);
    if (result.exitCode === 0) response.writeHead(200, { 'Content-Type': 'application/json' }).end(output);
    else sendText(response, 500, `command '${typed}' exited with ${result.exitCode}: ${output.toString()}`);
  }

  async #read(route: Route, url: URL, response: ServerResponse): Promise<void> {
    const { loop } = this.#options;
    switch (route.kind) {
      case 'healthz':
        sendText(response, 200, 'ok');
        return;
      case 'pods':
        sendJson(response, podList(loop.pods.map(({ pod }) => pod)));
        return;
      case 'runningpods': {
        const running = loop.pods.filter(({ pod }) => pod.status.phase === 'Running');
        sendJson(
          response,
          podList(
            running.map(({ pod: { apiVersion, kind, metadata, spec } }) => ({ apiVersion, kind, metadata, spec })),
          ),
        );
        return;
      }
      case 'run':
        await this.#run(route, url.searchParams.get('cmd') ?? '', response);
        return;
      case 'exec':
      case 'attach':
      case 'portForward':
        sendText(response, 500, 'Upgrade request required');
        return;
      case 'containerLogs':
        await serveLogs(route, url.searchParams, response, this.#options);
    }
  }
}

type RunRoute = Extract<Route, { kind: 'run' | 'exec' | 'attach' }>;

type StreamRoute = Extract<Route, { kind: 'exec' | 'attach' | 'portForward' | 'run' }> & {
  readonly kind: 'exec' | 'attach' | 'portForward';
};

function isStream(route: Route): route is StreamRoute {
  return route.kind === 'exec' || route.kind === 'attach' || route.kind === 'portForward';
}

function podList(items: readonly unknown[]): object {
  return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items };
}

function sendText(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response
    .writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' })
    .end(`${text}\n`.replace(/^ok\n$/, 'ok'));
}

function sendJson(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

/** The id that an earlier hop gave the session, when it is one, else a new one. */
function sessionIdOf(request: IncomingMessage): string {
  const given = request.headers['audit-id'];
  return isSessionId(given) ? given : randomUUID();
}
