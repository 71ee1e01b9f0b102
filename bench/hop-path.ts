import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type ClusterCertificates, clusterCertificates } from '../src/cluster/certificates.ts';
import {
  createTransport,
  KubeClient,
  loadClientConfig,
  nodes,
  pods,
  type Transport,
  writeKubeconfig,
} from '../src/kubeapi/index.ts';
import type { ApiserverHopConfig } from './processes/apiserver-hop.ts';
import type { KubeletHopConfig } from './processes/kubelet-hop.ts';
import { Worker } from './worker.ts';

const NODE = 'bench';

/** How long a pod of the runtime may take to be seen at the apiserver, in ms. */
const ADOPTION_TIMEOUT_MS = 30_000;

export interface HopPathOptions {
  /** `unix:///path` of containerd, or of our runtime. */
  readonly runtimeEndpoint: string;
  /** TLS between client, apiserver and kubelet, mutual, as `podwire up` has it; else plain HTTP. */
  readonly isSecure: boolean;
  /** A pod of the namespace `default` that runs there. */
  readonly pod: string;
  readonly nodeOptions?: readonly string[];
}

/**
 * Our apiserver and our kubelet, each a process of its own, before a runtime whose pods the kubelet adopts.
 *
 * Owns: both processes and a folder with certificates and kubeconfig.
 */
export class HopPath implements AsyncDisposable {
  readonly kubeconfig: string;
  /** Of the apiserver. */
  readonly url: string;
  /** Connections to the apiserver, as the kubeconfig says. */
  readonly transport: Transport;
  readonly apiserver: Worker;
  readonly kubelet: Worker;
  readonly #directory: string;

  private constructor(parts: Pick<HopPath, 'url' | 'transport' | 'apiserver' | 'kubelet'>, directory: string) {
    this.url = parts.url;
    this.transport = parts.transport;
    this.apiserver = parts.apiserver;
    this.kubelet = parts.kubelet;
    this.kubeconfig = join(directory, 'kubeconfig');
    this.#directory = directory;
  }

  static async start(options: HopPathOptions): Promise<HopPath> {
    const directory = mkdtempSync(join(tmpdir(), 'podwire-bench-'));
    const workers: Worker[] = [];
    try {
      const certificates = options.isSecure
        ? await clusterCertificates(join(directory, 'pki'), { nodeName: NODE, apiserver: [] })
        : undefined;
      const start = async (name: string, config: unknown): Promise<Worker> => {
        const worker = await Worker.start(name, config, options.nodeOptions);
        workers.push(worker);
        return worker;
      };
      const apiserver = await start('apiserver-hop', apiserverConfig(certificates));
      const url = await apiserver.ask<string>('url');
      const kubelet = await start('kubelet-hop', {
        containerRuntimeEndpoint: options.runtimeEndpoint,
        rootDir: join(directory, 'kubelet'),
        nodeName: NODE,
        server: url,
        ...kubeletTls(certificates),
      } satisfies KubeletHopConfig);
      const kubeconfig = join(directory, 'kubeconfig');
      await writeKubeconfig(kubeconfig, {
        name: 'bench',
        server: url,
        ...(certificates && {
          certificateAuthority: certificates.ca,
          clientCertificate: certificates.admin.certificate,
          clientKey: certificates.admin.key,
        }),
      });
      const transport = createTransport(await loadClientConfig({ kubeconfig }));
      await untilAdopted(transport, options.pod);
      return new HopPath({ url, transport, apiserver, kubelet }, directory);
    } catch (error) {
      await disposeAll(workers, directory);
      throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return disposeAll([this.apiserver, this.kubelet], this.#directory);
  }
}

function apiserverConfig(certificates: ClusterCertificates | undefined): ApiserverHopConfig {
  if (certificates === undefined) return {};
  const { caFile, apiserver: serving, apiserverKubeletClient: kubeletClient } = certificates;
  return { tls: { caFile, serving, kubeletClient } };
}

function kubeletTls(certificates: ClusterCertificates | undefined): Pick<KubeletHopConfig, 'tls'> {
  if (certificates === undefined) return {};
  const { caFile, ca, kubelet: serving, kubeletClient: client } = certificates;
  return { tls: { caFile, ca, serving, client } };
}

/** The kubelet looks at its runtime each second and then tells the apiserver. */
async function untilAdopted(transport: Transport, pod: string): Promise<void> {
  const client = new KubeClient(transport);
  const deadline = Date.now() + ADOPTION_TIMEOUT_MS;
  try {
    for (;;) {
      const found = await Promise.all([client.get(pods, pod, { namespace: 'default' }), client.get(nodes, NODE)]).catch(
        (error: unknown) => error,
      );
      if (!(found instanceof Error)) return;
      if (Date.now() > deadline) throw found;
      await delay(100);
    }
  } finally {
    client.close();
  }
}

async function disposeAll(workers: readonly Worker[], directory: string): Promise<void> {
  for (const worker of workers) await worker[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
}
