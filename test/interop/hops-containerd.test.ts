import { ClientNode } from '../support/client-node.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer, requirePeer } from '../support/peer.ts';
import { streamingServerDoes } from './containerd-exceptions.ts';
import { execInterop } from './exec-suite.ts';
import { hopsTarget } from './hops.ts';
import { terminalInterop } from './terminal-suite.ts';

// A client → our apiserver → our kubelet → containerd

describeWithPeer(['containerd', 'kubectl'], 'kubectl, our hops and containerd', () => {
  for (const transport of ['websocket', 'spdy'] as const) {
    const makeTarget = hopsTarget('containerd', (kubeconfig) => Kubectl.create({ kubeconfig, transport }));
    execInterop(`kubectl over ${transport} → hops → containerd`, makeTarget, streamingServerDoes);
  }
});

describeWithPeer(['containerd', 'kubectl'], 'kubectl, our hops and a containerd that is called by TCP', () => {
  const makeTarget = hopsTarget('containerd by TCP', (kubeconfig) => Kubectl.create({ kubeconfig }));
  // The soak run has all clients, and the full size.
  execInterop('kubectl → hops → containerd by TCP', makeTarget, streamingServerDoes, { mebibytes: 8, sessions: 5 });
});

describeWithPeer(['containerd', 'kubectl', 'tmux'], 'kubectl at a terminal, our hops and containerd', () => {
  for (const transport of ['websocket', 'spdy'] as const) {
    const makeTarget = hopsTarget('containerd', (kubeconfig) => Kubectl.create({ kubeconfig, transport }));
    terminalInterop(`kubectl over ${transport} → hops → containerd`, makeTarget);
  }
});

describeWithPeer(['containerd', 'kubectl-1.20'], 'kubectl 1.20, our hops and containerd', () => {
  const makeTarget = hopsTarget('containerd', (kubeconfig) =>
    Kubectl.create({ kubeconfig, program: requirePeer('kubectl-1.20') }),
  );
  execInterop('kubectl 1.20 → hops → containerd', makeTarget, streamingServerDoes);
});

describeWithPeer('containerd', 'client-node, our hops and containerd', () => {
  const makeTarget = hopsTarget('containerd', (kubeconfig) => new ClientNode(kubeconfig));
  execInterop('client-node → hops → containerd', makeTarget, streamingServerDoes);
});
