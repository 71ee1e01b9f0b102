import { streamingServerDoes } from '../interop/containerd-exceptions.ts';
import { execInterop } from '../interop/exec-suite.ts';
import { type HopRuntime, hopsTarget, type MakeClient } from '../interop/hops.ts';
import { terminalInterop } from '../interop/terminal-suite.ts';
import { ClientNode } from '../support/client-node.ts';
import { findKubectl, kubectlVersions, requirePeer } from '../support/find-peer.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';
import { PodwireExec } from '../support/podwire.ts';

// The interop suite at full size, 1 GiB and 200 sessions, for every pair of a client and a runtime; and at its usual size
// for every other kubectl at hand.

const scale = { mebibytes: 1024, sessions: 200 };

const clients: Readonly<Record<string, MakeClient>> = {
  'kubectl over WebSocket': (kubeconfig) => Kubectl.create({ kubeconfig, transport: 'websocket' }),
  'kubectl over SPDY': (kubeconfig) => Kubectl.create({ kubeconfig, transport: 'spdy' }),
  'kubectl 1.20': (kubeconfig) => Kubectl.create({ kubeconfig, program: requirePeer('kubectl-1.20') }),
  'podwire exec over WebSocket': (kubeconfig) => new PodwireExec(kubeconfig, 'websocket'),
  'podwire exec over SPDY': (kubeconfig) => new PodwireExec(kubeconfig, 'spdy'),
  'client-node': (kubeconfig) => new ClientNode(kubeconfig),
};
const runtimes: readonly HopRuntime[] = ['host', 'containerd', 'containerd by TCP'];

describeWithPeer(['kubectl', 'kubectl-1.20', 'containerd'], 'every client and every runtime', () => {
  for (const runtime of runtimes) {
    const except = runtime === 'host' ? {} : streamingServerDoes;
    for (const [client, makeClient] of Object.entries(clients)) {
      execInterop(`${client} → hops → ${runtime}`, hopsTarget(runtime, makeClient), except, scale);
    }
  }
});

describeWithPeer(['kubectl', 'tmux', 'containerd'], 'every kubectl at hand', () => {
  for (const version of kubectlVersions()) {
    const makeClient: MakeClient = (kubeconfig) =>
      Kubectl.create({ kubeconfig, program: findKubectl(version) ?? 'kubectl' });
    execInterop(`kubectl ${version} → hops → our runtime`, hopsTarget('host', makeClient));
    const makeTarget = hopsTarget('containerd', makeClient);
    execInterop(`kubectl ${version} → hops → containerd`, makeTarget, streamingServerDoes);
    terminalInterop(`kubectl ${version} → hops → containerd`, makeTarget);
  }
});
