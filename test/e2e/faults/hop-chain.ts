import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { createStreamingHandler, kubeletDialer, startApiserver } from '../../../src/apiserver/index.ts';
import { serveCri } from '../../../src/cri/index.ts';
import type { HopLimits } from '../../../src/httpstream/index.ts';
import { startKubelet } from '../../../src/kubelet/index.ts';
import { ReloadingTls, type StoredPair } from '../../../src/pki/index.ts';
import { createRuntime, serveStreams } from '../../../src/runtime/index.ts';
import { heldSockets } from '../../support/held-sockets.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { type ChainCertificates, chainCertificates } from './chain-certificates.ts';
import { podsServe, registerPods, writeManifests } from './chain-pods.ts';
import { CHAIN_PREFIX } from './earlier-runs.ts';
import type { Endpoint } from './endpoint.ts';
import { SHORT_GRACE_MS, shortLimits } from './short-limits.ts';

/** The links of the path, in the direction of the user's request. */
export const linkNames = ['client–apiserver', 'apiserver–kubelet', 'kubelet–streaming server'] as const;
export type LinkName = (typeof linkNames)[number];

/**
 * Apiserver, kubelet and runtime in this process, plain or with TLS, a fault-injecting relay on every link.
 *
 * Owns: all of it, and a temporary directory.
 */
export class HopChain implements AsyncDisposable {
  readonly links: Readonly<Record<LinkName, TcpProxy>>;
  /** Itself, behind the link. */
  readonly #apiserver: Endpoint;
  readonly #hopPorts: readonly number[];
  readonly #sessions: Sessions;
  readonly #closers: (() => unknown)[];

  private constructor(options: ChainParts) {
    this.links = options.links;
    this.#apiserver = options.apiserver;
    this.#hopPorts = options.hopPorts;
    this.#sessions = options.sessions;
    this.#closers = options.closers;
  }

  static async start(options: ChainOptions = {}): Promise<HopChain> {
    const closers: (() => unknown)[] = [];
    try {
      return new HopChain(await startChain(options, closers));
    } catch (error) {
      for (const close of closers.toReversed()) await close();
      throw error;
    }
  }

  /** Where clients connect. */
  get apiserver(): Endpoint {
    return { ...this.#apiserver, url: withPort(this.#apiserver.url, this.links['client–apiserver'].port) };
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

export interface ChainOptions {
  /** Of every hop; `{}` for the defaults. Default: {@link shortLimits}. */
  readonly limits?: HopLimits;
  /** Between client, apiserver and kubelet. Default: none. */
  readonly tls?: boolean;
}

interface ChainParts {
  readonly apiserver: Endpoint;
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

async function startChain(options: ChainOptions, closers: (() => unknown)[]): Promise<ChainParts> {
  const { limits = shortLimits } = options;
  const directory = mkdtempSync(join(tmpdir(), CHAIN_PREFIX));
  closers.push(() => rmSync(directory, { recursive: true, force: true }));
  const certificates = options.tls === true ? await chainCertificates(join(directory, 'pki')) : undefined;
  const surroundings: Surroundings = { directory, limits, certificates, sessions: new Sessions(), closers };
  const linkTo = async (port: number): Promise<TcpProxy> => {
    const proxy = await TcpProxy.start({ host: '127.0.0.1', port });
    closers.push(() => proxy[Symbol.asyncDispose]());
    return proxy;
  };
  const runtime = await startRuntimeBehind(surroundings, linkTo);
  const kubelet = await startKubeletOf(surroundings);
  const kubeletLink = await linkTo(kubelet.port);
  const apiserver = await startApiserverOf(surroundings);
  await registerPods(apiserver, kubeletLink.port);
  const port = Number(new URL(apiserver.url).port);
  return {
    apiserver,
    links: {
      'client–apiserver': await linkTo(port),
      'apiserver–kubelet': kubeletLink,
      'kubelet–streaming server': runtime.link,
    },
    hopPorts: [port, kubelet.port, runtime.port],
    sessions: surroundings.sessions,
    closers,
  };
}

interface Surroundings {
  readonly directory: string;
  readonly limits: HopLimits;
  readonly certificates: ChainCertificates | undefined;
  readonly sessions: Sessions;
  readonly closers: (() => unknown)[];
}

/** The runtime, which sends kubelets to its streaming server through a link. */
async function startRuntimeBehind(
  { directory, limits, sessions, closers }: Surroundings,
  linkTo: (port: number) => Promise<TcpProxy>,
): Promise<{ readonly port: number; readonly link: TcpProxy }> {
  let streamingUrl = '';
  const runtime = await createRuntime({ stateDir: join(directory, 'runtime'), streamingUrl: () => streamingUrl });
  closers.push(() => runtime.close());
  const streaming = await serveStreams(runtime, {
    ...limits,
    hangUpGraceMs: SHORT_GRACE_MS,
    onSession: ({ sessionId, outcome }) => sessions.note('runtime', sessionId, outcome !== undefined),
  });
  closers.push(() => streaming.close(0));
  const link = await linkTo(streaming.port);
  streamingUrl = `http://127.0.0.1:${link.port}`;
  const cri = await serveCri(runtime.handlers, { socketPath: join(directory, 'runtime.sock') });
  closers.push(() => cri.close());
  return { port: streaming.port, link };
}

async function startKubeletOf(surroundings: Surroundings): Promise<{ readonly port: number }> {
  const { directory, limits, certificates, sessions, closers } = surroundings;
  writeManifests(join(directory, 'manifests'));
  const tls =
    certificates && (await ReloadingTls.load({ ...filesOf(certificates.server), caFile: certificates.caFile }));
  closers.push(() => tls?.close());
  const kubelet = await startKubelet({
    containerRuntimeEndpoint: `unix://${directory}/runtime.sock`,
    rootDir: join(directory, 'kubelet'),
    podManifestPath: join(directory, 'manifests'),
    nodeName: 'n1',
    port: 0,
    ...(tls === undefined ? {} : { tls }),
    version: '0',
    authenticate: async () => ({ name: 'apiserver', groups: [] }),
    authorize: async () => true,
    sessionLimits: limits,
    onSession: ({ sessionId, how }) => sessions.note('kubelet', sessionId, how !== undefined),
  });
  closers.push(() => kubelet.close(0));
  await podsServe({ url: kubelet.url, ...caOf(certificates) });
  return kubelet;
}

async function startApiserverOf({ limits, certificates, closers }: Surroundings): Promise<Endpoint> {
  const dialKubelet: Parameters<typeof createStreamingHandler>[0] =
    certificates === undefined
      ? ({ host, port }, signal) => dial(host, port, signal)
      : kubeletDialer({
          clientCertificateFile: certificates.client.certificateFile,
          clientKeyFile: certificates.client.keyFile,
          certificateAuthorityFile: certificates.caFile,
        });
  const apiserver = await startApiserver({
    ...(certificates === undefined
      ? { insecurePort: 0 }
      : {
          securePort: 0,
          tlsCertFile: certificates.server.certificateFile,
          tlsPrivateKeyFile: certificates.server.keyFile,
        }),
    anonymousAuth: true,
    authorizationMode: 'AlwaysAllow',
    shutdownGraceMs: 0,
    ...(limits.headersTimeoutMs === undefined ? {} : { requestTimeoutMs: limits.headersTimeoutMs }),
    onConnect: createStreamingHandler(dialKubelet, () => {}, limits),
  });
  closers.push(() => apiserver.close());
  return { url: (apiserver.address ?? apiserver.insecureAddress)?.url ?? '', ...caOf(certificates) };
}

function caOf(certificates: ChainCertificates | undefined): { readonly ca?: string } {
  return certificates === undefined ? {} : { ca: certificates.ca };
}

function filesOf({ certificateFile, keyFile }: StoredPair): { certificateFile: string; keyFile: string } {
  return { certificateFile, keyFile };
}

function withPort(url: string, port: number): string {
  return `${new URL(url).protocol}//127.0.0.1:${port}`;
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
