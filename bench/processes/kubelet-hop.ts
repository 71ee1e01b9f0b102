import { nodeAccess } from '../../src/cluster/node-access.ts';
import { createTransport, KubeClient } from '../../src/kubeapi/index.ts';
import { type RunningKubelet, startKubelet } from '../../src/kubelet/index.ts';
import { ReloadingTls, type StoredPair } from '../../src/pki/index.ts';
import { memoryInUse } from '../memory-in-use.ts';
import { answerParent } from '../worker.ts';

export interface KubeletHopConfig {
  readonly containerRuntimeEndpoint: string;
  readonly rootDir: string;
  readonly nodeName: string;
  /** Of the apiserver. */
  readonly server: string;
  /** Default: plain HTTP, and everybody may do everything. */
  readonly tls?: {
    readonly caFile: string;
    readonly ca: string;
    readonly serving: StoredPair;
    readonly client: StoredPair;
  };
}

let kubelet: RunningKubelet | undefined;
let client: KubeClient | undefined;
let reloading: ReloadingTls | undefined;

// Hop 3 as a process of its own. It takes the pods that run in the runtime already.
answerParent({
  start: async ({ server, tls, ...config }: KubeletHopConfig) => {
    client = new KubeClient(
      createTransport({
        server: new URL(server),
        ...(tls && {
          certificateAuthority: { pem: tls.ca },
          clientCertificate: { pem: tls.client.certificate },
          clientKey: { pem: tls.client.key },
        }),
      }),
    );
    reloading = tls && (await ReloadingTls.load({ ...tls.serving, caFile: tls.caFile }));
    const everybody = { authenticate: async () => ({ name: 'bench', groups: [] }), authorize: async () => true };
    kubelet = await startKubelet({
      ...config,
      nodeAddress: '127.0.0.1',
      port: 0,
      apiserver: client,
      version: '0.0.0-bench',
      ...(reloading === undefined ? everybody : { tls: reloading, ...nodeAccess() }),
      onError: (message) => process.stderr.write(`kubelet: ${message}\n`),
    });
  },
  port: () => kubelet?.port,
  memory: memoryInUse,
  close: async () => {
    await kubelet?.close(0);
    client?.close();
    reloading?.close();
  },
});
