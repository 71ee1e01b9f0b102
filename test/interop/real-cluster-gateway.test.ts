import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEMO_POD, NODE_NAME } from '../../src/cluster/index.ts';
import { HOST_IMAGE } from '../../src/runtime/index.ts';
import { BackgroundChild } from '../support/child.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';
import { PodwireExec, type PodwireHop } from '../support/podwire.ts';
import { execInterop } from './exec-suite.ts';
import {
  demoPodTarget,
  podManifest,
  type RealCluster,
  startGatewayBefore,
  startRealCluster,
  type UpstreamStreams,
} from './real-cluster.ts';
import { streamInterop } from './stream-suite.ts';

// kubectl → `podwire apiserver --upstream-kubeconfig` → a real kube-apiserver → our kubelet → our runtime, and past that
// apiserver straight to the kubelet. Needs `npm run build`.

const ann = { token: 'ann-token', name: 'ann', groups: ['readers'] };
const eve = { token: 'eve-token', name: 'eve' };

const rbac = 'rbac.authorization.k8s.io';
const named = { apiVersion: `${rbac}/v1`, metadata: { name: 'readers' } };

/** What the cluster lets ann do: look, but not touch. The roles that upstream has for this are filled by a controller. */
const readers = JSON.stringify({
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      ...named,
      kind: 'ClusterRole',
      rules: [{ apiGroups: [''], resources: ['pods', 'pods/log'], verbs: ['get', 'list', 'watch'] }],
    },
    {
      ...named,
      kind: 'ClusterRoleBinding',
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'readers' },
      subjects: [{ apiGroup: rbac, kind: 'Group', name: 'readers' }],
    },
  ],
});

/** Without what differs between two runs: the lines of kubectl's own log bear a time and a process, and ages grow. */
function comparable(text: string): string {
  return text.replace(/^E\d{4} .*\n/gm, '').replace(/ \d+[smh](\d+[sm])?$/gm, ' AGE');
}

describeWithPeer(['kube-apiserver', 'etcd', 'kubectl', 'tmux'], 'our apiserver before a real kube-apiserver', () => {
  let cluster: RealCluster;
  const gateways: PodwireHop[] = [];
  const clients: Kubectl[] = [];

  const gatewayOf = async (...flags: string[]): Promise<PodwireHop> => {
    const gateway = await startGatewayBefore(cluster, flags);
    gateways.push(gateway);
    return gateway;
  };

  const kubectlOf = async (
    server: string,
    user: Parameters<RealCluster['apiserver']['kubeconfig']>[1],
    name = 'someone',
  ): Promise<Kubectl> => {
    const kubectl = await Kubectl.create({ kubeconfig: await cluster.apiserver.kubeconfig(name, user, server) });
    clients.push(kubectl);
    return kubectl;
  };

  const outcomeOf = async (kubectl: Kubectl, args: readonly string[], stdin = ''): Promise<string> => {
    const { stdout, stderr, exitCode } = await kubectl.run(args, { stdin: Buffer.from(stdin) });
    return `${comparable(stdout.toString())}${comparable(stderr.toString())}exit ${exitCode}`;
  };

  beforeAll(async () => {
    cluster = await startRealCluster('host', { tokens: [ann, eve] });
    expect(await outcomeOf(cluster.admin, ['create', '-f', '-'], readers)).toContain('exit 0');
  }, 180_000);

  afterAll(async () => {
    for (const client of clients) client[Symbol.dispose]();
    for (const gateway of gateways) await gateway.stop();
    await cluster?.[Symbol.asyncDispose]();
  }, 60_000);

  describe('who a caller is', () => {
    for (const mode of ['impersonate', 'caller'] as const) {
      for (const streams of mode === 'caller' ? (['apiserver'] as const) : (['apiserver', 'kubelet'] as const)) {
        it(`by ${mode}, with streams to the ${streams}: the cluster’s own users, rights and words`, async () => {
          const gateway = await gatewayOf('--upstream-credentials', mode, '--upstream-streams', streams);
          for (const user of [ann, eve]) {
            const [direct, through] = [
              await kubectlOf(cluster.apiserver.server, user),
              await kubectlOf(gateway.address, user),
            ];
            for (const args of [
              ['auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username} {.status.userInfo.groups}'],
              ['auth', 'can-i', 'create', 'pods/exec'],
              ['auth', 'can-i', '--list'],
              ['get', 'pods'],
              ['get', 'secrets'],
              ['exec', DEMO_POD.name, '--', 'true'],
              ['exec', 'none', '--', 'true'],
              ['attach', DEMO_POD.name],
              ['delete', 'pod', DEMO_POD.name],
              ['logs', DEMO_POD.name],
              ['get', 'pods', '--as=admin', '--as-group=system:masters'],
            ]) {
              expect(await outcomeOf(through, args)).toBe(await outcomeOf(direct, args));
            }
          }
          const stranger = await kubectlOf(gateway.address, { token: 'nobody' });
          const same = await kubectlOf(cluster.apiserver.server, { token: 'nobody' });
          expect(await outcomeOf(stranger, ['get', 'pods'])).toBe(await outcomeOf(same, ['get', 'pods']));
        }, 60_000);
      }
    }

    it('by certificate where the gateway acts as its callers; a certificate is not passed on', {
      timeout: 60_000,
    }, async () => {
      const gateway = await gatewayOf();
      const bob = await kubectlOf(gateway.address, { groups: ['readers'] }, 'bob');
      expect(
        await bob.must('auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username} {.status.userInfo.groups}'),
      ).toBe('bob ["readers","system:authenticated"]');
      expect(await outcomeOf(bob, ['exec', DEMO_POD.name, '--', 'true'])).toContain(
        `pods "${DEMO_POD.name}" is forbidden: User "bob" cannot create resource "pods/exec" in API group "" in the namespace "default"`,
      );
      const own = await gatewayOf('--upstream-credentials', 'caller');
      const refused = await kubectlOf(own.address, { groups: ['system:masters'] }, 'carl');
      expect(await outcomeOf(refused, ['get', 'pods'])).toContain('exit 1');
    });
  });

  describe('what passes through', () => {
    let through: Kubectl;
    let direct: Kubectl;

    beforeAll(async () => {
      const gateway = await gatewayOf();
      through = await kubectlOf(gateway.address, { groups: ['system:masters'] }, 'admin');
      direct = cluster.admin;
    }, 60_000);

    it('everything that is read, as the cluster says it', { timeout: 60_000 }, async () => {
      for (const args of [
        ['get', 'nodes', '-o', 'name'],
        ['get', 'pods', '-o', 'jsonpath={.items[*].metadata.uid}'],
        ['get', 'clusterroles', '--chunk-size=7', '-o', 'name'],
        ['get', 'pod', 'none'],
        ['get', 'ns', 'default', '-o', 'json'],
        ['api-resources'],
        ['api-versions'],
        ['explain', 'pod.spec.containers'],
        ['get', '--raw', '/openapi/v3'],
        ['get', '--raw', '/apis/apps/v1'],
        ['get', '--raw', '/nope'],
        ['logs', 'none'],
      ]) {
        expect(await outcomeOf(through, args)).toBe(await outcomeOf(direct, args));
      }
    });

    it('server-side apply with its conflicts, patches, dry-run, and validation', { timeout: 60_000 }, async () => {
      const map = (value: string): string =>
        JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'map' }, data: { key: value } });
      const apply = ['apply', '--server-side', '-f', '-'];
      expect(await outcomeOf(through, apply, map('one'))).toBe('configmap/map serverside-applied\nexit 0');
      expect(await outcomeOf(through, [...apply, '--field-manager=other'], map('two'))).toMatch(
        /Apply failed with 1 conflict: conflict with "kubectl": \.data\.key/,
      );
      expect(await outcomeOf(through, [...apply, '--field-manager=other', '--force-conflicts'], map('two'))).toBe(
        'configmap/map serverside-applied\nexit 0',
      );
      expect(await outcomeOf(through, ['apply', '--dry-run=server', '-f', '-'], map('three'))).toContain(
        'configured (server dry run)',
      );
      expect(await direct.must('get', 'configmap', 'map', '-o', 'jsonpath={.data.key}')).toBe('two');
      const wrong = podManifest('wrong', cluster.image, { spec: { hostNetwrk: true } });
      expect(await outcomeOf(through, ['create', '-f', '-'], wrong)).toContain('unknown field "spec.hostNetwrk"');
      expect(await outcomeOf(through, ['delete', 'configmap', 'map'])).toBe('configmap "map" deleted\nexit 0');
    });

    it('watches and followed logs, as they come', { timeout: 60_000 }, async () => {
      const start = (...args: string[]): BackgroundChild => {
        const { argv, env } = through.commandLine(...args);
        return new BackgroundChild(argv[0] ?? '', argv.slice(1), { env });
      };
      await using watch = start('get', 'pods', '-w', '--output-watch-events', '--no-headers');
      await watch.waitForLog(/ADDED +demo /);
      const command = ['sh', '-c', 'for i in 1 2 3; do echo "line $i"; sleep 0.3; done; sleep 100000'];
      const container = { container: { command } };
      await outcomeOf(direct, ['create', '-f', '-'], podManifest('talker', cluster.image, container));
      await watch.waitForLog(/ADDED +talker /);
      await watch.waitForLog(/MODIFIED +talker +1\/1 +Running/);
      await using log = start('logs', '-f', 'talker');
      await log.waitForLog(/line 1\nline 2\nline 3\n/);
      await direct.must('delete', 'pod', 'talker', '--wait=false');
      await watch.waitForLog(/DELETED +talker /);
      await expect.poll(() => direct.must('get', 'nodes', '--no-headers')).toContain(NODE_NAME);
    });
  });

  const scale = { mebibytes: 8, sessions: 5 };
  const kubeconfigOf = async (streams: UpstreamStreams): Promise<string> => {
    const gateway = await gatewayOf('--upstream-streams', streams);
    return await cluster.apiserver.kubeconfig('admin', { groups: ['system:masters'] }, gateway.address);
  };
  const kubectl = demoPodTarget(async () =>
    Kubectl.create({ kubeconfig: await kubeconfigOf('apiserver'), transport: 'websocket' }),
  );
  execInterop('kubectl → gateway → kube-apiserver → our kubelet', kubectl, {}, scale);
  streamInterop('kubectl → gateway → kube-apiserver → our kubelet', kubectl, { image: HOST_IMAGE, network: 'host' });
  const ours = demoPodTarget(async () => new PodwireExec(await kubeconfigOf('kubelet')));
  execInterop('podwire exec → gateway → our kubelet', ours, {}, scale);
});
