import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { streamingServerDoes } from '../interop/containerd-exceptions.ts';
import { execInterop } from '../interop/exec-suite.ts';
import { demoPodTarget, type RealCluster, startGatewayBefore, startRealCluster } from '../interop/real-cluster.ts';
import { terminalInterop } from '../interop/terminal-suite.ts';
import type { ExecClient } from '../support/exec-client.ts';
import { requirePeer } from '../support/find-peer.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';
import { PodwireExec, type PodwireHop } from '../support/podwire.ts';

// The interop suite at full size before and behind a real kube-apiserver, which is built here when it is missing.

const script = resolve(import.meta.dirname, '../../.ci/build-cluster-peers.sh');
if (spawnSync(script, { stdio: 'inherit' }).status !== 0) throw new Error(`${script} has said what is missing`);

const scale = { mebibytes: 1024, sessions: 200 };

const clients: Readonly<Record<string, (kubeconfig: string) => ExecClient | Promise<ExecClient>>> = {
  'kubectl over WebSocket': (kubeconfig) => Kubectl.create({ kubeconfig, transport: 'websocket' }),
  'kubectl over SPDY': (kubeconfig) => Kubectl.create({ kubeconfig, transport: 'spdy' }),
  'kubectl 1.20': (kubeconfig) => Kubectl.create({ kubeconfig, program: requirePeer('kubectl-1.20') }),
  'podwire exec': (kubeconfig) => new PodwireExec(kubeconfig),
};

const peers = ['kube-apiserver', 'etcd', 'containerd', 'kubectl', 'kubectl-1.20', 'tmux'] as const;
for (const runtime of ['host', 'containerd'] as const) {
  describeWithPeer(peers, `a real cluster whose node has ${runtime === 'host' ? 'our runtime' : runtime}`, () => {
    const except = runtime === 'containerd' ? streamingServerDoes : {};
    let cluster: RealCluster;
    const gateways: PodwireHop[] = [];
    /** Where a client is pointed: at the kube-apiserver, or at a gateway before it. */
    const ways: Readonly<Record<string, () => Promise<string>>> = {
      'kube-apiserver → our kubelet': async () => cluster.apiserver.adminKubeconfig,
      'gateway → kube-apiserver → our kubelet': () => throughGateway('apiserver'),
      'gateway → our kubelet': () => throughGateway('kubelet'),
    };

    async function throughGateway(streams: string): Promise<string> {
      const gateway = await startGatewayBefore(cluster, ['--upstream-streams', streams]);
      gateways.push(gateway);
      return await cluster.apiserver.kubeconfig('admin', { groups: ['system:masters'] }, gateway.address);
    }

    beforeAll(async () => {
      cluster = await startRealCluster(runtime);
    });

    afterAll(async () => {
      for (const gateway of gateways) await gateway.stop();
      await cluster[Symbol.asyncDispose]();
    });

    for (const [way, kubeconfigOf] of Object.entries(ways)) {
      for (const [client, makeClient] of Object.entries(clients)) {
        const makeTarget = demoPodTarget(async () => await makeClient(await kubeconfigOf()));
        execInterop(`${client} → ${way} → ${runtime}`, makeTarget, except, scale);
        // Its prompts are those of the test image.
        if (runtime === 'containerd' && client.startsWith('kubectl over'))
          terminalInterop(`${client} → ${way} → ${runtime}`, makeTarget);
      }
    }
  });
}
