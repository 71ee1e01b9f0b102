import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Apiserver, createStreamingHandler, kubeletDialer, startApiserver } from '../apiserver/index.ts';
import { ExecPathError, toError } from '../common/errors.ts';
import {
  createTransport,
  isNotFound,
  KubeClient,
  listWatch,
  type Pod,
  pods,
  writeKubeconfig,
} from '../kubeapi/index.ts';
import { type RunningKubelet, startKubelet } from '../kubelet/index.ts';
import { ReloadingTls, renewRegularly } from '../pki/index.ts';
import { HOST_IMAGE, ImageStore, startRuntime } from '../runtime/index.ts';
import { openStore, type StoreOptions } from '../store/index.ts';
import { type ClusterCertificates, clusterCertificates } from './certificates.ts';
import { demoPod } from './demo-pod.ts';
import { DEMO_POD, NODE_NAME } from './names.ts';
import { nodeAccess } from './node-access.ts';
import { lockState } from './state-lock.ts';

/** How long `up` waits for its demo pod, in ms: a pull into a real runtime may be part of it. */
export const READY_TIMEOUT_MS = 120_000;

export interface ClusterOptions {
  /** `--state-dir`: certificates, kubeconfig, runtime state. 0700. */
  readonly stateDir: string;
  /** `--bind-address` of the apiserver; default 127.0.0.1. */
  readonly bindAddress?: string;
  /** `--secure-port`; default 6443; 0 for any free one. */
  readonly securePort?: number;
  /** `--container-runtime-endpoint`: a real runtime in place of our own. */
  readonly containerRuntimeEndpoint?: string;
  /**
   * `--demo-image`; default the host image of our runtime, which also takes the path of an image archive or layout and
   * imports it. A real runtime needs a name that it has or can pull.
   */
  readonly demoImage?: string;
  /** Of our runtime; default `auto`: where walls can be had. */
  readonly isolation?: boolean | 'auto';
  readonly nodeName?: string;
  /** Where objects are kept. Default: the memory of this process. */
  readonly store?: StoreOptions;
  readonly version: string;
  /** Told of what goes wrong in the background. */
  readonly onProblem?: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface Cluster extends AsyncDisposable {
  /** `https://host:port` */
  readonly server: string;
  readonly kubeconfig: string;
  readonly kubeletUrl: string;
  readonly containerRuntimeEndpoint: string;
  /** Ends sessions, pods and servers; leaves no process and no socket. Twice is once. */
  close(): Promise<void>;
}

/**
 * Starts all four hops in this process and runs the demo pod. Resolves when the first exec can come.
 *
 * The hops meet on the wire: https between apiserver and kubelet, a unix socket and loopback to the runtime.
 *
 * @throws ExecPathError ERR_STATE_IN_USE, ERR_LISTEN, ERR_CERTIFICATE, ERR_NOT_READY
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const closers: (() => unknown)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) {
      try {
        await close();
      } catch (thrown) {
        // What is left must be closed all the same: the runtime's processes, the lock.
        options.onProblem?.(`stopping: ${toError(thrown).message}`);
      }
    }
  };
  try {
    return await start(options, closers, closeAll);
  } catch (thrown) {
    await closeAll();
    throw thrown;
  }
}

async function start(
  options: ClusterOptions,
  closers: (() => unknown)[],
  closeAll: () => Promise<void>,
): Promise<Cluster> {
  const { stateDir, nodeName = NODE_NAME, bindAddress = '127.0.0.1', onProblem = () => {} } = options;
  closers.push(await lockState(stateDir));
  const issue = (): Promise<ClusterCertificates> =>
    clusterCertificates(join(stateDir, 'pki'), { nodeName, apiserver: [bindAddress] });
  const certificates = await issue();
  const renewal = renewRegularly(issue, { onError: ({ message }) => onProblem(message) });
  closers.push(() => renewal[Symbol.dispose]());

  const isOwn = options.containerRuntimeEndpoint === undefined;
  const demoImage = isOwn ? await ownImage(options) : options.demoImage;
  const containerRuntimeEndpoint = options.containerRuntimeEndpoint ?? (await ownRuntime(options, closers));
  const dialKubelet = kubeletDialer({
    clientCertificateFile: certificates.apiserverKubeletClient.certificateFile,
    clientKeyFile: certificates.apiserverKubeletClient.keyFile,
    certificateAuthorityFile: certificates.caFile,
  });
  const store = await openStore(options.store ?? { storageBackend: 'memory' });
  closers.push(() => store.close());
  const apiserver = await startApiserver({
    bindAddress,
    store,
    ...(options.securePort === undefined ? {} : { securePort: options.securePort }),
    tlsCertFile: certificates.apiserver.certificateFile,
    tlsPrivateKeyFile: certificates.apiserver.keyFile,
    clientCaFile: certificates.caFile,
    kubeletPreferredAddressTypes: ['InternalIP'],
    dialKubelet,
    onConnect: createStreamingHandler(dialKubelet),
    onProblem: ({ message }) => onProblem(message),
    shutdownGraceMs: 0,
  });
  closers.push(() => apiserver.close());
  await removeOldDemoPod(apiserver);
  const { url = '', port = 0 } = apiserver.address ?? {};
  const server = isWildcard(bindAddress) ? `https://127.0.0.1:${port}` : url;

  const kubelet = await ownKubelet(options, { server, nodeName, certificates, containerRuntimeEndpoint, closers });
  const kubeconfig = join(stateDir, 'kubeconfig');
  const { certificate: clientCertificate, key: clientKey } = certificates.admin;
  await writeKubeconfig(kubeconfig, {
    name: 'podwire',
    server,
    certificateAuthority: certificates.ca,
    clientCertificate,
    clientKey,
  });
  const admin = clientOf(server, certificates.ca, certificates.admin);
  closers.push(() => admin.close());
  const deadline = AbortSignal.timeout(READY_TIMEOUT_MS);
  const stop = options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline]);
  if (!(await isInTime(kubelet.registered, stop))) {
    if (options.signal?.aborted) throw new ExecPathError('ERR_ABORTED', 'stopped before the node was registered');
    const message = `the node ${nodeName} is not registered after ${READY_TIMEOUT_MS / 1000} s`;
    throw new ExecPathError('ERR_NOT_READY', message, { hop: 'kubelet' });
  }
  const pod = await admin.create(pods, demoPod(demoImage, nodeName, isOwn), DEMO_NAMESPACE);
  // The demo pod goes with the cluster, also out of a runtime that stays, and when it never came to run.
  closers.push(() => removeDemoPod(admin, onProblem));
  await untilDemoPodRuns(admin, pod, stop, options.signal);
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= closeAll());
  return { server, kubeconfig, kubeletUrl: kubelet.url, containerRuntimeEndpoint, close, [Symbol.asyncDispose]: close };
}

/** Unix socket paths end at 107 bytes on Linux, 103 elsewhere. */
const MAX_SOCKET_PATH_BYTES = 100;

/** The demo pod's image for our own runtime: a file is imported first. @throws ExecPathError ERR_IMAGE_… */
async function ownImage({ demoImage, stateDir, signal }: ClusterOptions): Promise<string | undefined> {
  if (demoImage === undefined || demoImage === HOST_IMAGE) return undefined;
  const store = new ImageStore(runtimeDir(stateDir));
  if (store.find(demoImage) !== undefined) return demoImage;
  if (existsSync(demoImage)) {
    const [image] = await store.import(demoImage, signal === undefined ? {} : { signal });
    return image?.repoTags[0] ?? image?.id;
  }
  const rule = `it is neither an image that \`podwire image import\` gave ${runtimeDir(stateDir)} nor a file`;
  throw new ExecPathError('ERR_IMAGE_UNKNOWN', `no demo image ${JSON.stringify(demoImage)}: ${rule}`, {
    hop: 'runtime',
  });
}

function runtimeDir(stateDir: string): string {
  return join(stateDir, 'runtime');
}

async function ownRuntime(
  { stateDir, isolation = 'auto' }: ClusterOptions,
  closers: (() => unknown)[],
): Promise<string> {
  let socketPath = join(stateDir, 'runtime', 'runtime.sock');
  if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) {
    const folder = await mkdtemp(join(tmpdir(), 'podwire-'));
    closers.push(() => rm(folder, { recursive: true, force: true }));
    socketPath = join(folder, 'runtime.sock');
  }
  const runtime = await startRuntime({ stateDir: runtimeDir(stateDir), socketPath, isolation });
  closers.push(() => runtime.close());
  return runtime.endpoints[0] ?? '';
}

interface KubeletSurroundings {
  readonly server: string;
  readonly nodeName: string;
  readonly certificates: ClusterCertificates;
  readonly containerRuntimeEndpoint: string;
  readonly closers: (() => unknown)[];
}

async function ownKubelet(options: ClusterOptions, surroundings: KubeletSurroundings): Promise<RunningKubelet> {
  const { server, nodeName, certificates, containerRuntimeEndpoint, closers } = surroundings;
  const { onProblem = () => {} } = options;
  const tls = await ReloadingTls.load({
    certificateFile: certificates.kubelet.certificateFile,
    keyFile: certificates.kubelet.keyFile,
    caFile: certificates.caFile,
  });
  closers.push(() => tls.close());
  const client = clientOf(server, certificates.ca, certificates.kubeletClient);
  closers.push(() => client.close());
  const kubelet = await startKubelet({
    containerRuntimeEndpoint,
    rootDir: join(options.stateDir, 'kubelet'),
    nodeName,
    nodeAddress: '127.0.0.1',
    port: 0,
    tls,
    ...nodeAccess(),
    apiserver: client,
    version: options.version,
    onError: onProblem,
  });
  closers.push(() => kubelet.close(0));
  return kubelet;
}

function clientOf(
  server: string,
  ca: string,
  pair: { readonly certificate: string; readonly key: string },
): KubeClient {
  const transport = createTransport({
    server: new URL(server),
    certificateAuthority: { pem: ca },
    clientCertificate: { pem: pair.certificate },
    clientKey: { pem: pair.key },
  });
  return new KubeClient(transport);
}

const DEMO_NAMESPACE = { namespace: DEMO_POD.namespace };

/** @returns false when `stop` came first */
async function isInTime(event: Promise<void>, stop: AbortSignal): Promise<boolean> {
  const stopped = new Promise<false>((resolve) => {
    if (stop.aborted) resolve(false);
    stop.addEventListener('abort', () => resolve(false), { once: true });
  });
  return await Promise.race([event.then(() => true), stopped]);
}

/** @param stop ends the wait: the deadline, or `signal`, the caller's */
async function untilDemoPodRuns(
  client: KubeClient,
  pod: Pod,
  stop: AbortSignal,
  signal: AbortSignal | undefined,
): Promise<void> {
  const watch = listWatch(client, pods, {
    namespace: DEMO_POD.namespace,
    fieldSelector: `metadata.name=${DEMO_POD.name}`,
    signal: stop,
  });
  let last: Pod = pod;
  for await (const event of watch) {
    const seen = event.type === 'SYNC' ? event.items[0] : event.object;
    if (seen === undefined) continue;
    last = seen;
    if (seen.status?.containerStatuses?.every(({ ready }) => ready) === true) return;
  }
  if (signal?.aborted) throw new ExecPathError('ERR_ABORTED', 'stopped before the demo pod was running');
  const state = last.status?.containerStatuses?.[0]?.state?.waiting;
  const why = state === undefined ? 'the kubelet reports nothing of it' : `${state.reason}: ${state.message ?? ''}`;
  throw new ExecPathError('ERR_NOT_READY', `the demo pod is not running after ${READY_TIMEOUT_MS / 1000} s: ${why}`, {
    hop: 'kubelet',
  });
}

/** A process that was killed leaves its demo pod in the store. The kubelet, not yet there, is asked nothing. */
async function removeOldDemoPod({ registry }: Apiserver): Promise<void> {
  const { namespace, name } = DEMO_POD;
  if ((await registry.find(pods, { namespace, name })) === undefined) return;
  await registry.delete(pods, { namespace, name }, { gracePeriodSeconds: 0 });
}

/** How long the demo pod may take to end when the cluster stops, in ms. */
const REMOVE_TIMEOUT_MS = 10_000;

async function removeDemoPod(client: KubeClient, onProblem: (message: string) => void): Promise<void> {
  try {
    await client.delete(pods, DEMO_POD.name, { namespace: DEMO_POD.namespace });
    const watch = listWatch(client, pods, {
      namespace: DEMO_POD.namespace,
      fieldSelector: `metadata.name=${DEMO_POD.name}`,
      signal: AbortSignal.timeout(REMOVE_TIMEOUT_MS),
    });
    for await (const event of watch) {
      if ((event.type === 'SYNC' && event.items.length === 0) || event.type === 'DELETED') return;
    }
    onProblem(`the demo pod did not end within ${REMOVE_TIMEOUT_MS / 1000} s`);
  } catch (thrown) {
    if (isNotFound(thrown)) return;
    onProblem(`the demo pod could not be removed: ${toError(thrown).message}`);
  }
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}
