import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { exited } from '../../src/common/outcome.ts';
import { type Listener, listen } from '../../src/httpstream/index.ts';
import { createTransport, type Pod, type Transport } from '../../src/kubeapi/index.ts';
import { type RunCommand, serveRemoteCommand } from '../../src/remotecommand/index.ts';

export interface ExecServerOptions {
  /** Runs each command. Default: ends with code 0. */
  readonly run?: RunCommand;
  /** Takes an upgrade itself and returns true, or leaves it to the server. */
  readonly onUpgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;
  /** What `GET …/pods/NAME` answers; else 404. */
  readonly pod?: Pod | undefined;
  /** What `GET …/pods` answers; default the pod alone. */
  readonly list?: readonly Pod[];
}

/** A server of pods/exec over plain HTTP: our own server side, in the place of an apiserver. Owns: its listener. */
export class ExecServer implements AsyncDisposable {
  readonly #listener: Listener;
  /** `METHOD path` of each request, upgrades too. */
  readonly requests: string[] = [];
  /** Headers of the last upgrade. */
  headers: IncomingMessage['headers'] = {};

  private constructor(listener: Listener, requests: string[]) {
    this.#listener = listener;
    this.requests = requests;
  }

  static async start(options: ExecServerOptions = {}): Promise<ExecServer> {
    const requests: string[] = [];
    let server: ExecServer | undefined;
    const listener = await listen({
      onRequest: (request, response) => {
        requests.push(`${request.method} ${request.url}`);
        const { status, body } = answerOf(request.url ?? '', options);
        response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
      },
      onUpgrade: (request, socket, head) => {
        requests.push(`${request.method} ${request.url}`);
        if (server !== undefined) server.headers = request.headers;
        socket.on('error', () => {});
        if (options.onUpgrade?.(request, socket, head) === true) return;
        const query = new URL(request.url ?? '/', 'http://server').searchParams;
        const isTrue = (...names: string[]): boolean => names.some((name) => query.has(name));
        const streams = {
          stdin: isTrue('stdin', 'input'),
          stdout: isTrue('stdout', 'output'),
          stderr: isTrue('stderr', 'error'),
          tty: isTrue('tty'),
        };
        const run = options.run ?? (async () => exited(0));
        void serveRemoteCommand({ request, socket, head }, streams, run);
      },
    });
    server = new ExecServer(listener, requests);
    return server;
  }

  get port(): number {
    return this.#listener.port;
  }

  get url(): string {
    return this.#listener.url;
  }

  /** A way here, straight or through `port`. */
  api(port = this.port, hop: 'apiserver' | 'kubelet' = 'apiserver'): Transport {
    return createTransport({ server: new URL(`http://127.0.0.1:${port}`) }, { hop, env: {} });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#listener.close(0);
  }
}

function answerOf(url: string, { pod, list }: ExecServerOptions): { status: number; body: object } {
  if (/\/pods(\?|$)/.test(url)) {
    const items = list ?? (pod === undefined ? [] : [pod]);
    return { status: 200, body: { kind: 'PodList', apiVersion: 'v1', metadata: {}, items } };
  }
  const named = [...(pod === undefined ? [] : [pod]), ...(list ?? [])].find(({ metadata }) =>
    url.endsWith(`/${metadata.name}`),
  );
  const status = { kind: 'Status', status: 'Failure', message: 'not found', reason: 'NotFound', code: 404 };
  return named === undefined ? { status: 404, body: status } : { status: 200, body: named };
}

/** A running pod with these containers. */
export function podOf(names: readonly string[], more: Partial<Pod['metadata']> = {}, phase = 'Running'): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default', ...more },
    spec: { containers: names.map((name) => ({ name, image: 'image' })) },
    status: { phase: phase as 'Running' },
  };
}
