import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { type Cluster, NODE_NAME, startCluster } from '../../src/cluster/index.ts';
import { isolationObstacle } from '../../src/runtime/isolation/index.ts';
import { Containerd } from '../support/containerd.ts';
import type { PeerName } from '../support/find-peer.ts';
import { findBusybox, imageArchive, TEST_IMAGE } from '../support/image.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';

/** Hops with a node whose runtime has TEST_IMAGE and gives it walls. */
export interface WalledCluster extends AsyncDisposable {
  readonly kubectl: Kubectl;
  readonly nodeName: string;
}

/** Describes what pods with walls do by kubectl and our hops, of our runtime and of containerd. */
export function describeWalledClusters(
  peers: readonly PeerName[],
  suite: (runtime: string, start: () => Promise<WalledCluster>) => void,
): void {
  describe.skipIf(obstacle !== undefined)(`walls${obstacle === undefined ? '' : ` (${obstacle})`}`, () => {
    describeWithPeer(['kubectl', ...peers], 'kubectl and our hops', () =>
      suite('our runtime', () => startWalledCluster('ours')),
    );
  });
  describeWithPeer(['kubectl', 'containerd', ...peers], 'kubectl and our hops before containerd', () => {
    suite('containerd', () => startWalledCluster('containerd'));
  });
}

const obstacle = (await isolationObstacle()) ?? (findBusybox() === undefined ? 'no static BusyBox' : undefined);

/** Our hops in this process. */
async function startWalledCluster(runtime: 'containerd' | 'ours'): Promise<WalledCluster> {
  const stateDir = mkdtempSync(join(tmpdir(), 'podwire-walled-'));
  const containerd = runtime === 'containerd' ? await Containerd.start() : undefined;
  let cluster: Cluster | undefined;
  let kubectl: Kubectl | undefined;
  const dispose = async (): Promise<void> => {
    kubectl?.[Symbol.dispose]();
    await cluster?.close();
    await containerd?.dispose();
    rmSync(stateDir, { recursive: true, force: true });
  };
  try {
    const archive = join(stateDir, 'image.tar');
    if (containerd === undefined) writeFileSync(archive, imageArchive());
    const ofRuntime =
      containerd === undefined
        ? { demoImage: archive, isolation: true }
        : { demoImage: TEST_IMAGE, containerRuntimeEndpoint: containerd.endpoint };
    cluster = await startCluster({ stateDir, securePort: 0, version: 'v0.0.0-test', ...ofRuntime });
    kubectl = await Kubectl.create({ kubeconfig: cluster.kubeconfig });
    return { kubectl, nodeName: NODE_NAME, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
