import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { createExecHandler, startApiserver } from '../../../src/apiserver/index.ts';
import { serveCri } from '../../../src/cri/index.ts';
import {
  createTransport,
  KubeClient,
  nodes,
  pods,
  WEBSOCKET_PASS_THROUGH_FEATURE,
} from '../../../src/kubeapi/index.ts';
import { startKubelet } from '../../../src/kubelet/index.ts';
import { createRuntime, HOST_IMAGE, serveStreams } from '../../../src/runtime/index.ts';
import { heldSockets } from '../../support/held-sockets.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { SHORT_GRACE_MS, shortLimits } from './short-limits.ts';

/** The links of the path, in the direction of the user's request. */
export const linkNames = ['client–apiserver', 'apiserver–kubelet', 'kubelet–streaming server'] as const;
export type LinkName = (typeof linkNames)[number];

/** A pod whose node passes WebSocket v5 on, and one whose node wants the apiserver to translate it to SPDY. */
export const podNames = { passThrough: 'new-n1', translated: 'old-n1' } as const;

const NAMESPACE = 'default';
export const CONTAINER = 'main';

/**
 * Apiserver, kubelet and runtime in this process, plain TCP between them, a fault-injecting relay on every link.
 *
 * Owns: all of it, and a temporary directory.
 */
export class HopChain implements AsyncDisposable {
  readonly links: Readonly<Record<LinkName, TcpProxy>>;
  readonly #hopPorts: readonly number[];
  readonly #sessions: Sessions;
  readonly #closers: (() => unknown)[];

  private constructor(options: ChainParts) {
    this.links = options.links;
    this.#hopPorts = options.hopPorts;
    this.#sessions = options.sessions;
    this.#closers = options.closers;
  }

  static async start(): Promise<HopChain> {
    const closers: (() => unknown)[] = [];
    try {
      return await startChain(closers, (options) => new HopChain(options));
    } catch (error) {
      for (const close of closers.toReversed()) await close();
      throw error;
    }
  }

  /** Where clients connect. */
  get port(): number {
    return this.links['client–apiserver'].port;
  }

  /** What is left of sessions at any hop or at the client: their connections, and sessions that have not said their end. */
  remains(): string[] {
    const remote = Object.values(this.links).map(({ port }) => port);
    return [...heldSockets({ local: this.#hopPorts, remote }), ...this.#sessions.open];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closers.splice(0).toReversed()) await close();
  }
}

interface ChainParts {
  readonly links: HopChain['links'];
  readonly hopPorts: readonly number[];
  readonly sessions: Sessions;
  readonly closers: (() => unknown)[];
}

/** Begun and not yet ended, by hop. */
class Sessions {
  readonly #open = new Set<string>();

  get open(): string[] {
    return [...this.#open];
  }

  note(hop: string, sessionId: string, hasEnded: boolean): void {
    if (hasEnded) this.#open.delete(`${hop} ${sessionId}`);
    else this.#open.add(`${hop} ${sessionId}`);
  }
}

async function startChain(closers: (() => unknown)[], make: (parts: ChainParts) => HopChain): Promise<HopChain> {
  const directory = mkdtempSync(join(tmpdir(), 'podwire-chain-'));
  closers.push(() => rmSync(directory, { recursive: true, force: true }));
  const sessions = new Sessions();
  const linkTo = async (port: number): Promise<TcpProxy> => {
    const proxy = await TcpProxy.start({ host: '127.0.0.1', port });
    closers.push(() => proxy[Symbol.asyncDispose]());
    return proxy;
  };

  let streamingUrl = '';
  const runtime = await createRuntime({ stateDir: join(directory, 'runtime'), streamingUrl: () => streamingUrl });
  closers.push(() => runtime.close());
  const streaming = await serveStreams(runtime, {
    ...shortLimits,
    hangUpGraceMs: SHORT_GRACE_MS,
    onSession: ({ sessionId, outcome }) => sessions.note('runtime', sessionId, outcome !== undefined),
  });
  closers.push(() => streaming.close(0));
  const streamingLink = await linkTo(streaming.port);
  streamingUrl = `http://127.0.0.1:${streamingLink.port}`;
  const socketPath = join(directory, 'runtime.sock');
  const cri = await serveCri(runtime.handlers, { socketPath });
  closers.push(() => cri.close());

  writeManifests(directory);
  const kubelet = await startKubelet({
    containerRuntimeEndpoint: `unix://${socketPath}`,
    rootDir: join(directory, 'kubelet'),
    podManifestPath: join(directory, 'manifests'),
    nodeName: 'n1',
    port: 0,
    version: '0',
    authenticate: async () => ({ name: 'apiserver', groups: [] }),
    authorize: async () => true,
    sessionLimits: shortLimits,
    onSession: ({ sessionId, how }) => sessions.note('kubelet', sessionId, how !== undefined),
  });
  closers.push(() => kubelet.close(0));
  await podsRunning(kubelet.port);
  const kubeletLink = await linkTo(kubelet.port);

  const apiserver = await startApiserver({
    insecurePort: 0,
    anonymousAuth: true,
    authorizationMode: 'AlwaysAllow',
    shutdownGraceMs: 0,
    requestTimeoutMs: shortLimits.headersTimeoutMs,
    onConnect: createExecHandler(
      ({ host, port }, signal) => dial(host, port, signal),
      () => {},
      shortLimits,
    ),
  });
  closers.push(() => apiserver.close());
  const { url = '', port = 0 } = apiserver.insecureAddress ?? {};
  await registerPods(url, kubeletLink.port);
  const clientLink = await linkTo(port);

  return make({
    links: {
      'client–apiserver': clientLink,
      'apiserver–kubelet': kubeletLink,
      'kubelet–streaming server': streamingLink,
    },
    hopPorts: [port, kubelet.port, streaming.port],
    sessions,
    closers,
  });
}

function dial(host: string, port: number, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host, port, noDelay: true, signal });
    socket.once('error', reject).once('connect', () => {
      socket.off('error', reject).on('error', () => {});
      resolve(socket);
    });
  });
}

/** Static pods; the kubelet appends its node's name. */
function writeManifests(directory: string): void {
  mkdirSync(join(directory, 'manifests'));
  for (const name of ['new', 'old']) {
    const container = { name: CONTAINER, image: HOST_IMAGE, command: ['sleep', '1000000'] };
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { hostNetwork: true, containers: [container] },
    };
    writeFileSync(join(directory, 'manifests', `${name}.yaml`), JSON.stringify(pod));
  }
}

/** How long a kubelet may take to start its static pods, in ms. */
const PODS_DEADLINE_MS = 60_000;

async function podsRunning(port: number): Promise<void> {
  const deadline = Date.now() + PODS_DEADLINE_MS;
  for (;;) {
    const list = (await getJson(port, '/pods')) as { items: { status: { phase?: string } }[] };
    if (list.items.length === 2 && list.items.every(({ status }) => status.phase === 'Running')) return;
    if (Date.now() > deadline) throw new Error(`the static pods do not run: ${JSON.stringify(list)}`);
    await delay(50);
  }
}

/** Without an agent: no connection is kept for later. */
function getJson(port: number, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve(JSON.parse(text))).on('error', reject);
    });
    request.on('error', reject);
  });
}

async function registerPods(server: string, kubeletPort: number): Promise<void> {
  const client = new KubeClient(createTransport({ server: new URL(server) }));
  try {
    for (const [kind, name] of Object.entries(podNames)) {
      const declaredFeatures = kind === 'passThrough' ? [WEBSOCKET_PASS_THROUGH_FEATURE] : [];
      await client.create(nodes, {
        metadata: { name: `node-of-${name}` },
        status: {
          addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
          daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
          declaredFeatures,
        },
      });
      const spec = { nodeName: `node-of-${name}`, containers: [{ name: CONTAINER, image: HOST_IMAGE }] };
      await client.create(pods, { metadata: { name, namespace: NAMESPACE }, spec }, { namespace: NAMESPACE });
    }
  } finally {
    client.close();
  }
}
