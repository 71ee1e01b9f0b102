import { ClientNode } from '../support/client-node.ts';
import { findKubectl, kubectlVersions } from '../support/find-peer.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';
import { execInterop } from './exec-suite.ts';
import { hopsTarget } from './hops.ts';

// A client → our apiserver → our kubelet → our runtime, whose commands are those of the host

describeWithPeer('kubectl', 'kubectl and our hops', () => {
  for (const transport of ['websocket', 'spdy'] as const) {
    const makeTarget = hopsTarget('host', (kubeconfig) => Kubectl.create({ kubeconfig, transport }));
    execInterop(`kubectl over ${transport} → hops → our runtime`, makeTarget);
  }
});

// The oldest and the newest at hand; the soak run takes them all.
const versions = kubectlVersions();
for (const version of new Set([versions.at(0), versions.at(-1)])) {
  if (version === undefined) continue;
  const program = findKubectl(version)!;
  const makeTarget = hopsTarget('host', (kubeconfig) => Kubectl.create({ kubeconfig, program }));
  execInterop(`kubectl ${version} → hops → our runtime`, makeTarget, {}, { mebibytes: 4, sessions: 5 });
}

execInterop(
  'client-node → hops → our runtime',
  hopsTarget('host', (kubeconfig) => new ClientNode(kubeconfig)),
);
