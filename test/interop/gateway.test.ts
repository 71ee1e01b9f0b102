import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';
import { PodwireExec, PodwireHop } from '../support/podwire.ts';
import { type ExecTarget, execInterop } from './exec-suite.ts';
import { hopsTarget, type MakeClient } from './hops.ts';

// A client → `podwire apiserver --upstream-kubeconfig`, a process → our apiserver as the cluster's → our kubelet → our
// runtime. Needs `npm run build`.

/** Which way streams take behind the gateway. */
type Streams = 'apiserver' | 'kubelet';

/** The files of `up` by which the gateway is to the kubelet what the cluster's apiserver is. */
function kubeletFlags(cluster: string): string[] {
  const pki = join(cluster, '..', 'pki');
  return [
    '--kubelet-client-certificate',
    join(pki, 'apiserver-kubelet-client.crt'),
    '--kubelet-client-key',
    join(pki, 'apiserver-kubelet-client.key'),
    '--kubelet-certificate-authority',
    join(pki, 'ca', 'ca.crt'),
    '--kubelet-preferred-address-types',
    'InternalIP',
  ];
}

function gatewayTarget(streams: Streams, makeClient: MakeClient): () => Promise<ExecTarget> {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-gateway-'));
    let gateway: PodwireHop | undefined;
    const target = await hopsTarget('host', async (cluster) => {
      const serving = ['--secure-port', '0', '--cert-dir', folder];
      const flags = [...serving, '--upstream-kubeconfig', cluster, '--upstream-streams', streams];
      gateway = await PodwireHop.start('apiserver', [
        ...flags,
        ...(streams === 'kubelet' ? kubeletFlags(cluster) : []),
      ]);
      const [, kubeconfig = ''] = /^kubeconfig (.*)$/m.exec(gateway.log) ?? [];
      return await makeClient(kubeconfig);
    })();
    const dispose = async (): Promise<void> => {
      await target[Symbol.asyncDispose]();
      await gateway?.stop();
      rmSync(folder, { recursive: true, force: true });
    };
    return { ...target, [Symbol.asyncDispose]: dispose };
  };
}

const scale = { mebibytes: 8, sessions: 5 };

describeWithPeer('kubectl', 'kubectl and a cluster behind our apiserver', () => {
  for (const transport of ['websocket', 'spdy'] as const) {
    const makeTarget = gatewayTarget('apiserver', (kubeconfig) => Kubectl.create({ kubeconfig, transport }));
    execInterop(`kubectl over ${transport} → gateway → apiserver → kubelet`, makeTarget, {}, scale);
  }
});

execInterop(
  'podwire exec → gateway → kubelet',
  gatewayTarget('kubelet', (kubeconfig) => new PodwireExec(kubeconfig)),
  {},
  scale,
);
