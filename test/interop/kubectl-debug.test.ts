import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { type Cluster, NODE_NAME, startCluster } from '../../src/cluster/index.ts';
import { isolationObstacle } from '../../src/runtime/isolation/index.ts';
import { Containerd } from '../support/containerd.ts';
import { findBusybox, imageArchive, TEST_IMAGE } from '../support/image.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';
import { type DebugTarget, debugInterop } from './debug-suite.ts';

// kubectl debug → our apiserver → our kubelet → a runtime with walls

/** Our hops in this process, with a runtime that has TEST_IMAGE. */
async function debugTarget(runtime: 'containerd' | 'ours'): Promise<DebugTarget> {
  const stateDir = mkdtempSync(join(tmpdir(), 'podwire-debug-'));
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

const obstacle = (await isolationObstacle()) ?? (findBusybox() === undefined ? 'no static BusyBox' : undefined);

describe.skipIf(obstacle !== undefined)(`walls${obstacle === undefined ? '' : ` (${obstacle})`}`, () => {
  describeWithPeer('kubectl', 'kubectl and our hops', () => debugInterop('our runtime', () => debugTarget('ours')));
});

describeWithPeer(['kubectl', 'containerd'], 'kubectl and our hops before containerd', () => {
  debugInterop('containerd', () => debugTarget('containerd'));
});
