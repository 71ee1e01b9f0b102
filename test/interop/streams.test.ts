import { HOST_IMAGE } from '../../src/runtime/index.ts';
import { findKubectl, kubectlVersions } from '../support/find-peer.ts';
import { TEST_IMAGE } from '../support/image.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';
import type { Exceptions } from './exec-suite.ts';
import { hopsTarget } from './hops.ts';
import { streamInterop } from './stream-suite.ts';

// kubectl attach and port-forward → our apiserver → our kubelet → our runtime, and containerd

const containerdDoes: Exceptions = {
  'port-forward tells the pod the user’s end, and brings what it says after it':
    'containerd 1.6 keeps the end to itself and drops the connection a second later, measured without a hop of ours',
};

for (const transport of ['websocket', 'spdy'] as const) {
  describeWithPeer(['kubectl', 'tmux'], `kubectl over ${transport} and our hops`, () => {
    const makeTarget = hopsTarget('host', (kubeconfig) => Kubectl.create({ kubeconfig, transport }));
    streamInterop(`kubectl over ${transport} → hops → our runtime`, makeTarget, { image: HOST_IMAGE, network: 'host' });
  });

  describeWithPeer(['containerd', 'kubectl', 'tmux'], `kubectl over ${transport}, our hops and containerd`, () => {
    const makeTarget = hopsTarget('containerd', (kubeconfig) => Kubectl.create({ kubeconfig, transport }));
    streamInterop(`kubectl over ${transport} → hops → containerd`, makeTarget, {
      image: TEST_IMAGE,
      network: 'pod',
      except: containerdDoes,
    });
  });
}

// The oldest and the newest at hand: older ones know SPDY alone, and wait for the error stream before they let a user go.
const versions = kubectlVersions();
for (const version of new Set([versions.at(0), versions.at(-1)])) {
  if (version === undefined) continue;
  describeWithPeer('tmux', `kubectl ${version} and our hops`, () => {
    const program = findKubectl(version)!;
    const makeTarget = hopsTarget('host', (kubeconfig) => Kubectl.create({ kubeconfig, program }));
    streamInterop(`kubectl ${version} → hops → our runtime`, makeTarget, { image: HOST_IMAGE, network: 'host' });
  });
}
