import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { resolve } from 'node:path';
import { ExecPathError, toError } from '../common/errors.ts';
import { CriClient } from '../cri/index.ts';
import type { HopLimits, Listener, TlsSource } from '../httpstream/index.ts';
import type { KubeClient, Node, Pod } from '../kubeapi/index.ts';
import type { Authenticate, Authorize } from './access.ts';
import { ApiPods } from './api-pods.ts';
import { defaultNodeAddress, defaultNodeName, nodeObject } from './node-object.ts';
import { measureRoom } from './node-pressure.ts';
import type { DnsSettings } from './pod-dns.ts';
import { PodEvents } from './pod-events.ts';
import { PodObserver } from './pod-observer.ts';
import { PodReferences } from './pod-references.ts';
import { PodWorker } from './pod-worker.ts';
import { Registration } from './registration.ts';
import { RuntimeView } from './runtime-view.ts';
import { type SessionReport, serveKubelet } from './server.ts';
import { StaticPods } from './static-pods.ts';
import { StreamingUrlStarter } from './streaming-url.ts';
import { type PodSource, SYNC_PERIOD_MS, SyncLoop } from './sync-loop.ts';

/** How long calls to the runtime may still take when the kubelet stops, in ms. */
export const CALLS_GRACE_MS = 5_000;

export interface KubeletOptions {
  /** `--container-runtime-endpoint`: `unix:///path` or `tcp://host:port`. */
  readonly containerRuntimeEndpoint: string;
  /** `--root-dir`: pod volumes and, below `logs`, container logs. Must be writable by kubelet and runtime. */
  readonly rootDir: string;
  /** `--pod-logs-dir`; default `<rootDir>/logs`. */
  readonly podLogsDir?: string;
  /** `--hostname-override`; default the host's name in lower case. */
  readonly nodeName?: string;
  /** `--node-ip`; default the first address that is not loopback. */
  readonly nodeAddress?: string;
  readonly nodeLabels?: Readonly<Record<string, string>>;
  /** `--address`; default 127.0.0.1. */
  readonly host?: string;
  /** `--port`; default 10250; 0 for any free one. */
  readonly port?: number;
  /** `--healthz-port`; default 0: none. */
  readonly healthzPort?: number;
  /** Without it: plain HTTP, for loopback only. */
  readonly tls?: TlsSource;
  readonly authenticate: Authenticate;
  readonly authorize: Authorize;
  readonly dns?: DnsSettings;
  /** `--pod-manifest-path`: a folder of static pods. */
  readonly podManifestPath?: string;
  /** The apiserver to register with; without it the kubelet stands alone. */
  readonly apiserver?: KubeClient;
  /** podwire's version, for the node object. */
  readonly version: string;
  readonly onSession?: (session: SessionReport) => void;
  readonly onError?: (message: string) => void;
  readonly syncPeriodMs?: number;
  /** `--node-status-update-frequency`; default 10 s. */
  readonly heartbeatMs?: number;
  /** Deadlines of sessions. */
  readonly sessionLimits?: HopLimits;
}

export interface RunningKubelet {
  readonly nodeName: string;
  readonly url: string;
  readonly port: number;
  /** Resolves when the node has been registered with the apiserver, at once without one. */
  readonly registered: Promise<void>;
  /** Running sessions get `graceMs`, then end. Pods stay in the runtime. */
  close(graceMs?: number): Promise<void>;
}

/**
 * Starts hop 3. Resolves when it listens; the runtime may come later.
 *
 * @throws ExecPathError ERR_LISTEN, ERR_CRI_ENDPOINT
 */
export async function startKubelet(options: KubeletOptions): Promise<RunningKubelet> {
  const { onError = () => {}, nodeName = defaultNodeName(), nodeAddress = defaultNodeAddress() } = options;
  // The runtime, which mounts what lies here, may have another working folder.
  const rootDir = resolve(options.rootDir);
  await mkdir(rootDir, { recursive: true, mode: 0o755 });
  const cri = new CriClient(options.containerRuntimeEndpoint);
  const view = new RuntimeView(cri);
  const stop = new AbortController();
  const apiPods = options.apiserver && new ApiPods(options.apiserver, nodeName, onError);
  const events = options.apiserver && new PodEvents(options.apiserver, { nodeName, signal: stop.signal, onError });
  let runtime: { name: string; version: string } | undefined;
  let registration: Registration | undefined;
  const folders = { logs: resolve(options.podLogsDir ?? `${rootDir}/logs`), volumes: `${rootDir}/volumes` };
  const loop = new SyncLoop({
    sources: sourcesOf(options, nodeName, apiPods, onError),
    observer: new PodObserver(cri, view, folders),
    worker: new PodWorker(cri, folders, {
      hostIP: nodeAddress,
      ...(options.dns === undefined ? {} : { dns: options.dns }),
      references: new PodReferences(options.apiserver),
      onEvent: (pod, happening) => events?.record(pod, happening),
    }),
    nodeName,
    hostIP: nodeAddress,
    runtimeName: () => runtime?.name ?? 'unknown',
    onError,
    onPods: (pods) => registration?.report(pods),
    periodMs: options.syncPeriodMs ?? SYNC_PERIOD_MS,
  });
  const closers: (() => Promise<void>)[] = [() => cri.close()];
  const listener = await orUndo(
    closers,
    serveKubelet({
      host: options.host ?? '127.0.0.1',
      port: options.port ?? 10_250,
      tls: options.tls,
      headersTimeoutMs: options.sessionLimits?.headersTimeoutMs,
      cri,
      view,
      starter: new StreamingUrlStarter(cri, options.sessionLimits),
      loop,
      authenticate: options.authenticate,
      authorize: options.authorize,
      ...(options.onSession === undefined ? {} : { onSession: options.onSession }),
      signal: stop.signal,
    }),
  );
  closers.unshift(() => listener.close(0));
  const healthz =
    options.healthzPort === undefined ? undefined : await orUndo(closers, serveHealthz(options.healthzPort));
  const describeNode = async (before: Node | undefined): Promise<Node> => {
    const [health, room] = await Promise.all([runtimeHealth(cri), measureRoom(rootDir)]);
    runtime = health.runtime ?? runtime;
    const { port } = listener;
    const { nodeLabels: labels = {}, version } = options;
    return nodeObject(
      {
        name: nodeName,
        address: nodeAddress,
        port,
        runtime,
        notReady: health.notReady,
        version,
        labels,
        room,
        now: new Date(),
      },
      before,
    );
  };
  if (options.apiserver !== undefined) {
    const held = (): readonly Pod[] | undefined => apiPods?.held();
    const { apiserver: client, heartbeatMs } = options;
    const onReturn = (): void => apiPods?.lookAgain();
    registration = new Registration({ client, onError, held, describeNode, heartbeatMs, onReturn });
  }
  const firstHealth = runtimeHealth(cri).then((health) => {
    runtime = health.runtime;
  });
  apiPods?.start(() => loop.nudge());
  void firstHealth.finally(() => loop.start());
  registration?.start();
  return {
    nodeName,
    url: listener.url,
    port: listener.port,
    registered: registration?.registered ?? Promise.resolve(),
    close: async (graceMs) => {
      const closing = closeListener(listener, stop, graceMs);
      // A runtime that does not answer must not keep the kubelet: this ends the calls under way.
      const giveUp = setTimeout(() => void cri.close(), (graceMs ?? 0) + CALLS_GRACE_MS).unref();
      await Promise.all([closing, apiPods?.stop(), registration?.stop(), loop.stop(), healthz?.()]);
      clearTimeout(giveUp);
      await cri.close();
    },
  };
}

/** What `start` gives; when it fails, `closers` run first. */
async function orUndo<T>(closers: readonly (() => Promise<void>)[], start: Promise<T>): Promise<T> {
  try {
    return await start;
  } catch (thrown) {
    for (const close of closers) await close();
    throw thrown;
  }
}

function sourcesOf(
  options: KubeletOptions,
  nodeName: string,
  apiPods: ApiPods | undefined,
  onError: (message: string) => void,
): PodSource[] {
  const sources: PodSource[] = [];
  if (options.podManifestPath !== undefined) {
    const manifests = new StaticPods(options.podManifestPath, nodeName, onError);
    sources.push({ name: 'file', pods: () => manifests.read() });
  }
  if (apiPods !== undefined) sources.push({ name: 'api', pods: async () => apiPods.pods() });
  return sources;
}

async function closeListener(listener: Listener, stop: AbortController, graceMs = 0): Promise<void> {
  const timer = setTimeout(() => stop.abort(), graceMs);
  await listener.close(graceMs);
  clearTimeout(timer);
  stop.abort();
}

/** @returns what the runtime says of itself; `notReady` names what is wrong with it */
async function runtimeHealth(
  cri: CriClient,
): Promise<{ runtime: { name: string; version: string } | undefined; notReady: string | undefined }> {
  try {
    const [version, { status }] = await Promise.all([cri.runtime.version({}), cri.runtime.status({})]);
    const bad = (status?.conditions ?? []).filter(
      (condition) => !condition.status && (condition.type === 'RuntimeReady' || condition.type === 'NetworkReady'),
    );
    const notReady = bad.map(({ type, reason, message }) => `${type} is false: ${reason} ${message}`).join('; ');
    return {
      runtime: { name: version.runtimeName, version: version.runtimeVersion },
      notReady: notReady === '' ? undefined : notReady,
    };
  } catch (thrown) {
    return { runtime: undefined, notReady: `container runtime is down: ${toError(thrown).message}` };
  }
}

/** `/healthz` on plain HTTP and loopback, for a supervisor. */
async function serveHealthz(port: number): Promise<() => Promise<void>> {
  const server = createServer((request, response) => {
    const found = request.url === '/healthz';
    response.writeHead(found ? 200 : 404).end(found ? 'ok' : '404 page not found\n');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new ExecPathError('ERR_LISTEN', `cannot listen on 127.0.0.1:${port}: ${cause.message}`, { cause })),
    );
    server.listen(port, '127.0.0.1', resolve);
  });
  return () => new Promise((resolve) => server.close(() => resolve()));
}
