import type { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CriCaller, RunningPod } from './cri-caller.ts';
import { kubeconfigFile } from './kubeconfig-file.ts';

/** `/api/v1/namespaces/NAMESPACE/pods/NAME[/SUBRESOURCE]` */
const POD_PATH = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)(?:\/(exec|portforward))?$/;

/**
 * Stands between a Kubernetes client and a runtime's streaming server with as little as can be: it answers for its pods,
 * asks CRI for a URL, and copies bytes. So a client meets the real streaming server, and a benchmark has its baseline.
 *
 * Plain HTTP on loopback, no authentication, one container per pod. What the streaming server refuses, the client sees.
 *
 * Owns: the listener, its connections and a kubeconfig file.
 */
export class ExecRelay implements AsyncDisposable {
  readonly #cri: CriCaller;
  readonly #server: Server;
  readonly #directory: string;
  readonly #pods = new Map<string, RunningPod>();
  readonly #sockets = new Set<Socket>();

  private constructor(cri: CriCaller) {
    this.#cri = cri;
    this.#directory = mkdtempSync(join(tmpdir(), 'podwire-relay-'));
    this.#server = createServer((request, response) => this.#answer(request, response));
    this.#server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      this.#upgrade(request, socket, head).catch((error: unknown) => socket.end(refusal(String(error))));
    });
  }

  static async start(cri: CriCaller): Promise<ExecRelay> {
    const relay = new ExecRelay(cri);
    relay.#server.listen(0, '127.0.0.1');
    await once(relay.#server, 'listening');
    writeFileSync(relay.kubeconfig, kubeconfigFile(relay.url));
    return relay;
  }

  get url(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}`;
  }

  /** Path of a kubeconfig that leads here. */
  get kubeconfig(): string {
    return join(this.#directory, 'kubeconfig');
  }

  /** Makes a running pod known under a name. */
  add(name: string, pod: RunningPod, namespace = 'default'): void {
    this.#pods.set(`${namespace}/${name}`, pod);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(request.url ?? '/', this.url);
    const body = this.#body(pathname);
    response.writeHead(body === undefined ? 404 : 200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(body ?? { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 404 }));
  }

  #body(path: string): unknown {
    if (path === '/api') return { kind: 'APIVersions', versions: ['v1'] };
    if (path === '/apis') return { kind: 'APIGroupList', apiVersion: 'v1', groups: [] };
    if (path === '/api/v1') {
      const pods = {
        name: 'pods',
        singularName: 'pod',
        namespaced: true,
        kind: 'Pod',
        verbs: ['get'],
        shortNames: ['po'],
      };
      return { kind: 'APIResourceList', groupVersion: 'v1', resources: [pods] };
    }
    const [, namespace, name] = POD_PATH.exec(path) ?? [];
    if (!this.#pods.has(`${namespace}/${name}`)) return undefined;
    return {
      kind: 'Pod',
      apiVersion: 'v1',
      metadata: { name, namespace },
      spec: { containers: [{ name: 'main' }] },
      status: { phase: 'Running' },
    };
  }

  async #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    this.#own(socket);
    const url = new URL(request.url ?? '/', this.url);
    const [, namespace, name, subresource] = POD_PATH.exec(url.pathname) ?? [];
    const pod = this.#pods.get(`${namespace}/${name}`);
    if (pod === undefined) throw new Error(`no pod at ${url.pathname}`);
    const target =
      subresource === 'exec' ? await this.#execUrl(pod, url) : await this.#cri.portForwardUrl(pod.sandboxId);
    const upstream = connect({ host: target.hostname, port: Number(target.port), noDelay: true });
    this.#own(upstream);
    await once(upstream, 'connect');
    socket.setNoDelay(true);
    upstream.write(requestHead(request, target));
    upstream.write(head);
    socket.once('close', () => upstream.destroy());
    upstream.once('close', () => socket.destroy());
    socket.pipe(upstream).pipe(socket);
  }

  #execUrl(pod: RunningPod, { searchParams }: URL): Promise<URL> {
    return this.#cri.execUrl({
      containerId: pod.containerId,
      argv: searchParams.getAll('command'),
      stdin: searchParams.get('stdin') === 'true',
      tty: searchParams.get('tty') === 'true',
    });
  }

  #own(socket: Socket): void {
    this.#sockets.add(socket);
    // A reset is an end like any other here; `pipe` does not carry it over.
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

/** The request as it came, with the target's path and host. */
function requestHead(request: IncomingMessage, target: URL): string {
  const lines = [`${request.method} ${target.pathname}${target.search} HTTP/1.1`, `Host: ${target.host}`];
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const [name, value] = request.rawHeaders.slice(index, index + 2);
    if (name?.toLowerCase() !== 'host') lines.push(`${name}: ${value}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function refusal(message: string): string {
  const length = new TextEncoder().encode(message).length;
  return `HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n${message}`;
}
