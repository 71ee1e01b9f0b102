import { streamingServerDoes } from '../interop/containerd-exceptions.ts';
import { execInterop } from '../interop/exec-suite.ts';
import { hopsTarget } from '../interop/hops.ts';
import { terminalInterop } from '../interop/terminal-suite.ts';
import { findKubectl, kubectlVersions } from '../support/find-peer.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';
import { PodwireExec } from '../support/podwire.ts';

// The interop suite at full size: 1 GiB, 200 sessions at once, every kubectl at hand, both runtimes.

const scale = { mebibytes: 1024, sessions: 200 };

describeWithPeer(['kubectl', 'tmux'], 'every kubectl and our runtime', () => {
  for (const version of kubectlVersions()) {
    const makeTarget = hopsTarget('host', (kubeconfig) =>
      Kubectl.create({ kubeconfig, program: findKubectl(version) ?? 'kubectl' }),
    );
    execInterop(`kubectl ${version} → hops → our runtime`, makeTarget, {}, scale);
  }
});

describeWithPeer(['kubectl', 'tmux', 'containerd'], 'every kubectl and containerd', () => {
  for (const version of kubectlVersions()) {
    const makeTarget = hopsTarget('containerd', (kubeconfig) =>
      Kubectl.create({ kubeconfig, program: findKubectl(version) ?? 'kubectl' }),
    );
    execInterop(`kubectl ${version} → hops → containerd`, makeTarget, streamingServerDoes, scale);
    terminalInterop(`kubectl ${version} → hops → containerd`, makeTarget);
  }
});

describeWithPeer('containerd', 'podwire exec', () => {
  for (const transport of ['websocket', 'spdy'] as const) {
    const makeClient = (kubeconfig: string): PodwireExec => new PodwireExec(kubeconfig, transport);
    execInterop(`podwire exec over ${transport} → hops → our runtime`, hopsTarget('host', makeClient), {}, scale);
    const makeTarget = hopsTarget('containerd', makeClient);
    execInterop(`podwire exec over ${transport} → hops → containerd`, makeTarget, streamingServerDoes, scale);
  }
});
