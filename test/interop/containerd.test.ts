import { ClientNode } from '../support/client-node.ts';
import { Containerd } from '../support/containerd.ts';
import { Crictl } from '../support/crictl.ts';
import { CtrClient } from '../support/ctr-client.ts';
import type { ExecClient } from '../support/exec-client.ts';
import { ExecRelay } from '../support/exec-relay.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer, requirePeer } from '../support/peer.ts';
import { containerdDoes, streamingServerDoes } from './containerd-exceptions.ts';
import { type Exceptions, type ExecTarget, execInterop } from './exec-suite.ts';
import { terminalInterop } from './terminal-suite.ts';

// No hop of ours between client and containerd: what fails here is a fact about a peer, or a fault of the suite.

interface Host {
  readonly containerd: Containerd;
  readonly containerId: () => string;
  /** Leads to the plain relay. */
  readonly kubeconfig: string;
}

/** A pod in a containerd of its own, behind a relay that only copies bytes. */
async function target(makeClient: (host: Host) => ExecClient | Promise<ExecClient>): Promise<ExecTarget> {
  const containerd = await Containerd.start();
  const pod = await containerd.runPod({ name: 'web', network: 'host' });
  const relay = await ExecRelay.start(containerd.cri);
  relay.add('web', pod);
  const client = await makeClient({ containerd, containerId: () => pod.containerId, kubeconfig: relay.kubeconfig });
  return {
    client,
    container: { pod: 'web' },
    [Symbol.asyncDispose]: async () => {
      if (client instanceof Kubectl) client[Symbol.dispose]();
      await relay[Symbol.asyncDispose]();
      await containerd.dispose();
    },
  };
}

const NO_EMPTY_STDIN = 'ctr passes the end of its stdin on only after a first byte';
const ctrDoes: Exceptions = {
  ...containerdDoes,
  'forwards an empty stdin': NO_EMPTY_STDIN,
  'gives a command without -i an empty stdin': NO_EMPTY_STDIN,
};

const NO_EOF =
  'containerd knows WebSocket v4 at most, which has no half-close: client-node closes the connection instead';
const clientNodeDoes: Exceptions = {
  ...streamingServerDoes,
  'forwards stdin and its end': NO_EOF,
  'forwards an empty stdin': NO_EOF,
  'carries every byte value both ways': NO_EOF,
  'carries a big input whole': NO_EOF,
  'carries big input and output at once': NO_EOF,
  'keeps many sessions at once apart': NO_EOF,
};

describeWithPeer('containerd', 'ctr and containerd', () => {
  execInterop('ctr task exec', () => target((host) => new CtrClient(host.containerd, host.containerId)), ctrDoes);
});

describeWithPeer(['containerd', 'tmux'], 'ctr at a terminal and containerd', () => {
  terminalInterop('ctr task exec', () => target((host) => new CtrClient(host.containerd, host.containerId)));
});

describeWithPeer(['containerd', 'crictl'], 'crictl and containerd', () => {
  execInterop(
    'crictl → containerd',
    () => target((host) => new Crictl(host.containerd.endpoint, host.containerId)),
    streamingServerDoes,
  );
});

describeWithPeer(['containerd', 'kubectl'], 'kubectl and containerd', () => {
  execInterop(
    'kubectl over SPDY → containerd',
    () => target(({ kubeconfig }) => Kubectl.create({ kubeconfig, transport: 'spdy' })),
    streamingServerDoes,
  );
});

describeWithPeer(['containerd', 'kubectl', 'tmux'], 'kubectl at a terminal and containerd', () => {
  // containerd refuses WebSocket v5, so this walks kubectl's fallback to SPDY.
  terminalInterop('kubectl → containerd', () => target(({ kubeconfig }) => Kubectl.create({ kubeconfig })));
});

describeWithPeer(['containerd', 'kubectl-1.20'], 'kubectl 1.20 and containerd', () => {
  execInterop(
    'kubectl 1.20 → containerd',
    () => target(({ kubeconfig }) => Kubectl.create({ kubeconfig, program: requirePeer('kubectl-1.20') })),
    streamingServerDoes,
  );
});

describeWithPeer('containerd', 'client-node and containerd', () => {
  execInterop('client-node → containerd', () => target(({ kubeconfig }) => new ClientNode(kubeconfig)), clientNodeDoes);
});
