import { describe } from 'vitest';
import { describeWithPeer } from '../support/peer.ts';
import { PodwireExec } from '../support/podwire.ts';
import { streamingServerDoes } from './containerd-exceptions.ts';
import { execInterop } from './exec-suite.ts';
import { hopsTarget } from './hops.ts';
import { terminalInterop } from './terminal-suite.ts';

// `podwire exec` as a process → our apiserver → our kubelet → containerd, or our runtime. Needs `npm run build`.

const transports = ['websocket', 'spdy'] as const;

describe('podwire exec and our runtime', () => {
  for (const transport of transports) {
    const makeTarget = hopsTarget('host', (kubeconfig) => new PodwireExec(kubeconfig, transport));
    execInterop(`podwire exec over ${transport} → hops → our runtime`, makeTarget);
  }
});

describeWithPeer('containerd', 'podwire exec and containerd', () => {
  const makeTarget = hopsTarget('containerd', (kubeconfig) => new PodwireExec(kubeconfig));
  execInterop('podwire exec → hops → containerd', makeTarget, streamingServerDoes);
});

describeWithPeer(['containerd', 'tmux'], 'podwire exec at a terminal and containerd', () => {
  for (const transport of transports) {
    const makeTarget = hopsTarget('containerd', (kubeconfig) => new PodwireExec(kubeconfig, transport));
    terminalInterop(`podwire exec over ${transport} → hops → containerd`, makeTarget);
  }
});
