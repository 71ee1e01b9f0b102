import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../src/cluster/index.ts';
import { Containerd } from '../support/containerd.ts';
import { requirePeer } from '../support/find-peer.ts';
import { TEST_IMAGE } from '../support/image.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';

/** Pods that ran in containerd before anybody knew of them, as both kubectls see them by our apiserver and kubelet. */
for (const peer of ['kubectl', 'kubectl-1.20'] as const) {
  describeWithPeer(['containerd', peer], `pods that containerd had before, by a real ${peer}`, () => {
    let folder: string;
    let containerd: Containerd;
    let cluster: Cluster;
    let kubectl: Kubectl;

    async function outcomeOf(...args: readonly string[]): Promise<string> {
      const { stdout, stderr, exitCode } = await kubectl.run(args);
      return `${stdout.toString()}${stderr.toString()}exit ${exitCode}`;
    }

    const lines = async (...args: readonly string[]): Promise<string[]> =>
      (await kubectl.must(...args))
        .trim()
        .split('\n')
        .map((line) => line.replaceAll(/ +/g, ' ').trim());

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'podwire-adopted-'));
      containerd = await Containerd.start();
      for (const name of ['shop', 'shelf']) {
        await containerd.cri.runPod({ name, image: TEST_IMAGE, command: ['sleep', '100000'], network: 'host' });
      }
      cluster = await startCluster({
        stateDir: folder,
        securePort: 0,
        version: '0.0.0',
        containerRuntimeEndpoint: containerd.endpoint,
        demoImage: TEST_IMAGE,
      });
      kubectl = await Kubectl.create({ kubeconfig: cluster.kubeconfig, program: requirePeer(peer) });
      while (!(await outcomeOf('get', 'pod', 'shop', 'shelf')).endsWith('exit 0')) await delay(100);
    }, 120_000);

    afterAll(async () => {
      kubectl[Symbol.dispose]();
      await cluster.close();
      await containerd.dispose();
      rmSync(folder, { recursive: true, force: true });
    }, 60_000);

    it('version, api-resources, nodes and namespaces', async () => {
      expect(await kubectl.must('version')).toMatch(/Server Version: .*v1\./);
      expect(await lines('api-resources', '--no-headers')).toContain('pods po v1 true Pod');
      expect(await lines('get', 'nodes', '-o', 'wide', '--no-headers')).toEqual([
        expect.stringMatching(/^podwire Ready <none> \d+s [\w.+-]+ 127\.0\.0\.1 <none> .+ containerd:\/\/1\.\d+/),
      ]);
      expect(await lines('get', 'ns', '-o', 'name')).toContain('namespace/default');
    });

    it('get in every form, by labels and fields, in order, and as they change', async () => {
      expect(await lines('get', 'pods', '-A', '-o', 'wide', '--no-headers', '--sort-by=.metadata.name')).toEqual([
        expect.stringMatching(/^default demo 1\/1 Running 0 \d+s \S+ podwire <none> <none>$/),
        expect.stringMatching(/^default shelf 1\/1 Running 0 \d+s \S+ podwire <none> <none>$/),
        expect.stringMatching(/^default shop 1\/1 Running 0 \d+s \S+ podwire <none> <none>$/),
      ]);
      const named = ['get', 'pods', '--field-selector', 'metadata.name=shop'];
      expect(await lines(...named, '-o', 'name')).toEqual(['pod/shop']);
      const image = 'jsonpath={.items[*].spec.containers[0].image}';
      expect(await kubectl.must(...named, '-o', image)).toBe(TEST_IMAGE);
      expect(await lines(...named, '-o', 'custom-columns=NAME:.metadata.name,NODE:.spec.nodeName')).toEqual([
        'NAME NODE',
        'shop podwire',
      ]);
      expect(JSON.parse(await kubectl.must(...named, '-o', 'json'))).toMatchObject({
        items: [{ status: { phase: 'Running', containerStatuses: [{ ready: true, state: { running: {} } }] } }],
      });
      expect(await kubectl.must('get', 'pod', 'shop', '-o', 'yaml')).toMatch(/^ {2}phase: Running$/m);
      expect(await outcomeOf('get', 'pods', '-l', 'no=such')).toBe('No resources found in default namespace.\nexit 0');
      const end = new AbortController();
      let seen = '';
      await kubectl.run(['get', 'pods', '-w', '--no-headers'], {
        signal: end.signal,
        onStdout: (chunk) => {
          seen += chunk.toString();
          if (/^shop /m.test(seen)) end.abort();
        },
      });
      expect(seen).toMatch(/^shop +1\/1 +Running/m);
    });

    it('describe, exec, logs and wait', { timeout: 60_000 }, async () => {
      expect(await kubectl.must('describe', 'pod', 'shop')).toMatch(
        /^Name: +shop\n[^]*Node: +podwire\/127\.0\.0\.1\n[^]*kubernetes\.io\/config\.mirror[^]*State: +Running\n/,
      );
      expect(await kubectl.must('describe', 'node', 'podwire')).toMatch(/Non-terminated Pods:[^]*\n +default +shop /);
      expect(await outcomeOf('exec', 'shop', '--', 'sh', '-c', 'echo in; exit 7')).toBe(
        'in\ncommand terminated with exit code 7\nexit 7',
      );
      expect(await outcomeOf('wait', '--for=condition=Ready', 'pod/shop', '--timeout=10s')).toBe(
        'pod/shop condition met\nexit 0',
      );
    });

    it('label, annotate, patch and delete change their mirrors alone, and only for a moment', {
      timeout: 120_000,
    }, async () => {
      const before = await containerd.cri.sandboxIds();
      const uid = await kubectl.must('get', 'pod', 'shelf', '-o', 'jsonpath={.metadata.uid}');
      expect(await outcomeOf('annotate', 'pod', 'shelf', 'kubernetes.io/config.mirror-')).toMatch(
        /may not remove or update mirror pod annotation\nexit 1$/,
      );
      expect(await outcomeOf('patch', 'pod', 'shelf', '-p', '{"spec":{"hostPID":true}}')).toMatch(
        /pod updates may not change fields other than[^]*exit 1$/,
      );
      expect(await outcomeOf('label', 'pod', 'shelf', 'mine=1')).toBe('pod/shelf labeled\nexit 0');
      expect(await outcomeOf('delete', 'pod', 'shelf')).toBe('pod "shelf" deleted\nexit 0');
      await expect
        .poll(() => outcomeOf('get', 'pod', 'shelf', '-o', 'jsonpath={.metadata.uid} {.status.phase}'), {
          timeout: 60_000,
        })
        .toMatch(new RegExp(`^(?!${uid})\\S+ Runningexit 0$`));
      expect(await kubectl.must('exec', 'shelf', '--', 'echo', 'here')).toBe('here\n');
      expect((await containerd.cri.sandboxIds()).toSorted()).toEqual(before.toSorted());
    });
  });
}
