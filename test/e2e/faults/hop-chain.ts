import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { createStreamingHandler, startApiserver } from '../../../src/apiserver/index.ts';
import { serveCri } from '../../../src/cri/index.ts';
import { startKubelet } from '../../../src/kubelet/index.ts';
import { createRuntime, serveStreams } from '../../../src/runtime/index.ts';
import { heldSockets } from '../../support/held-sockets.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { podsServe, registerPods, writeManifests } from './chain-pods.ts';
import { SHORT_GRACE_MS, shortLimits } from './short-limits.ts';

/** The links of the path, in the direction of the user's request. */
export const linkNames = ['client–apiserver', 'apiserver–kubelet', 'kubelet–streaming server'] as const;
export type LinkName = (typeof linkNames)[number];

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

  writeManifests(join(directory, 'manifests'));
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
  await podsServe(kubelet.port);
  const kubeletLink = await linkTo(kubelet.port);

  const apiserver = await startApiserver({
    insecurePort: 0,
    anonymousAuth: true,
    authorizationMode: 'AlwaysAllow',
    shutdownGraceMs: 0,
    requestTimeoutMs: shortLimits.headersTimeoutMs,
    onConnect: createStreamingHandler(
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
