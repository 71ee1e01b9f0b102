import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, DEMO_POD, startCluster } from '../../src/cluster/index.ts';
import { Containerd } from '../support/containerd.ts';
import type { ExecClient } from '../support/exec-client.ts';
import { TEST_IMAGE } from '../support/image.ts';
import { Kubectl } from '../support/kubectl.ts';
import type { ExecTarget } from './exec-suite.ts';

/** Which runtime stands behind our apiserver and kubelet. `host` is ours with the image that runs commands of the host. */
export type HopRuntime = 'containerd' | 'containerd by TCP' | 'host';

/** Makes a client of the apiserver that the kubeconfig file leads to. */
export type MakeClient = (kubeconfig: string) => ExecClient | Promise<ExecClient>;

/** Our hops in this process, with the demo pod of `up` to exec into. */
export function hopsTarget(runtime: HopRuntime, makeClient: MakeClient): () => Promise<ExecTarget> {
  return async () => {
    const isTcp = runtime === 'containerd by TCP';
    const containerd = runtime === 'host' ? undefined : await Containerd.start({ tcp: isTcp });
    const stateDir = mkdtempSync(join(tmpdir(), 'podwire-hops-'));
    let cluster: Cluster | undefined;
    let client: ExecClient | undefined;
    const dispose = async (): Promise<void> => {
      if (client instanceof Kubectl) client[Symbol.dispose]();
      await cluster?.close();
      await containerd?.dispose();
      rmSync(stateDir, { recursive: true, force: true });
    };
    try {
      const containerRuntimeEndpoint = isTcp ? `tcp://${containerd?.tcpAddress}` : containerd?.endpoint;
      const endpoint =
        containerRuntimeEndpoint === undefined ? {} : { containerRuntimeEndpoint, demoImage: TEST_IMAGE };
      const onProblem = (message: string): void => console.log(`up: ${message}`);
      cluster = await startCluster({ stateDir, securePort: 0, version: 'v0.0.0-test', onProblem, ...endpoint });
      client = await makeClient(cluster.kubeconfig);
    } catch (error) {
      await dispose();
      throw error;
    }
    const { namespace, name, container } = DEMO_POD;
    return { client, container: { namespace, pod: name, container }, [Symbol.asyncDispose]: dispose };
  };
}
