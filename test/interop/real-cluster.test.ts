import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { NODE_NAME } from '../../src/cluster/index.ts';
import { HOST_IMAGE } from '../../src/runtime/index.ts';
import { Kubectl } from '../support/kubectl.ts';
import { MemoryIo } from '../support/memory-io.ts';
import { describeWithPeer } from '../support/peer.ts';
import { execInterop } from './exec-suite.ts';
import { demoPodTarget, podManifest, type RealCluster, startRealCluster } from './real-cluster.ts';
import { streamInterop } from './stream-suite.ts';

// kubectl → a real kube-apiserver → our kubelet, a node of it → our runtime. Needs `npm run build`.

describeWithPeer(
  ['kube-apiserver', 'etcd', 'kubectl', 'tmux'],
  'our kubelet as a node of a real kube-apiserver',
  () => {
    let cluster: RealCluster;

    const outcomeOf = async (kubectl: Kubectl, args: readonly string[], stdin = ''): Promise<string> => {
      const { stdout, stderr, exitCode } = await kubectl.run(args, { stdin: Buffer.from(stdin) });
      return `${stdout.toString()}${stderr.toString()}exit ${exitCode}`;
    };

    const fieldOf = (what: string, path: string): Promise<string> =>
      cluster.admin.must('get', ...what.split(' '), '-o', `jsonpath={${path}}`);

    const create = async (...manifest: Parameters<typeof podManifest>): Promise<void> => {
      const outcome = await outcomeOf(cluster.admin, ['create', '-f', '-'], podManifest(...manifest));
      expect(outcome).toBe(`pod/${manifest[0]} created\nexit 0`);
    };

    beforeAll(async () => {
      cluster = await startRealCluster('host');
    }, 180_000);

    afterAll(() => cluster?.[Symbol.asyncDispose](), 60_000);

    describe('node and pods', () => {
      it('is registered, ready, and renews its lease', { timeout: 60_000 }, async () => {
        expect(await cluster.admin.must('get', 'nodes', '--no-headers')).toMatch(
          new RegExp(`^${NODE_NAME} +Ready +<none> +\\d+s +\\S+\\n$`),
        );
        const renewed = (): Promise<string> => fieldOf(`-n kube-node-lease lease ${NODE_NAME}`, '.spec.renewTime');
        const first = await renewed();
        await expect.poll(renewed, { timeout: 30_000, interval: 500 }).not.toBe(first);
        expect(await fieldOf(`node ${NODE_NAME}`, '.status.conditions[?(@.type=="Ready")].reason')).toBe(
          'KubeletReady',
        );
      });

      it('runs a pod and says how it is, gives its logs, and takes files', { timeout: 60_000 }, async () => {
        const command = ['sh', '-c', 'echo "I am $(WHO)"; trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done'];
        const env = [{ name: 'WHO', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }];
        await create('web', cluster.image, { container: { command, env } });
        expect(await outcomeOf(cluster.admin, ['wait', '--for=condition=Ready', 'pod/web', '--timeout=30s'])).toBe(
          'pod/web condition met\nexit 0',
        );
        expect(await cluster.admin.must('get', 'pod', 'web', '--no-headers')).toMatch(
          /^web +1\/1 +Running +0 +\d+s\n$/,
        );
        expect(await fieldOf('pod web', '.status.conditions[*].type')).toBe(
          'PodReadyToStartContainers Initialized Ready ContainersReady PodScheduled',
        );
        await expect.poll(() => cluster.admin.must('logs', 'web')).toBe('I am web\n');
        await expect
          .poll(() => cluster.admin.must('get', 'events', '--field-selector=involvedObject.name=web'))
          .toContain('Started container web');
        const folder = mkdtempSync(join(tmpdir(), 'podwire-cp-'));
        writeFileSync(join(folder, 'there'), 'there and back\n');
        await cluster.admin.must('cp', join(folder, 'there'), 'web:/tmp/podwire-real-cluster');
        await cluster.admin.must('cp', 'web:/tmp/podwire-real-cluster', join(folder, 'back'));
        expect(readFileSync(join(folder, 'back'), 'utf8')).toBe('there and back\n');
        await cluster.admin.must('exec', 'web', '--', 'rm', '/tmp/podwire-real-cluster');
        rmSync(folder, { recursive: true, force: true });
      });

      it('takes a podwire run that joins its pod, and shows all logs', { timeout: 60_000 }, async () => {
        const podwire = async (args: readonly string[], stdin = ''): Promise<readonly [string, string, number]> => {
          const io = new MemoryIo(Readable.from([stdin]));
          const code = await runCli([...args], io);
          return [io.out.text, io.err.text, code];
        };
        const kubeconfig = ['--kubeconfig', cluster.apiserver.adminKubeconfig];
        const overrides = JSON.stringify({ spec: { nodeName: NODE_NAME, hostNetwork: true } });
        const flags = [`--image=${cluster.image}`, '--restart=Never', `--overrides=${overrides}`, '-q', ...kubeconfig];
        const script = ['--command', '--', 'sh', '-c', 'read line; echo "got $line"; echo complaint >&2; exit 4'];
        expect(await podwire(['run', 'joined', ...flags, '-i', ...script], 'a line\n')).toEqual([
          'got a line\n',
          'complaint\npod default/joined terminated (Error)\n',
          4,
        ]);
        const [log] = await podwire(['logs', '-l', 'run=joined', '--all-containers', '--prefix', '-f', ...kubeconfig]);
        expect(log.split('\n').sort()).toEqual(['', '[pod/joined/joined] complaint', '[pod/joined/joined] got a line']);
        await cluster.admin.must('delete', 'pod', 'joined');
        expect(await podwire(['run', 'joined', ...flags, '-i', '--rm', ...script], 'again\n')).toEqual([
          'got again\n',
          'complaint\npod default/joined terminated (Error)\n',
          4,
        ]);
        await cluster.admin.must('wait', '--for=delete', 'pod/joined', '--timeout=30s');
      });

      it('ends a pod within its grace, and lets the object go when its containers have ended', {
        timeout: 60_000,
      }, async () => {
        const command = ['sh', '-c', 'trap "sleep 2; echo swept; exit 0" TERM; while :; do sleep 3600 & wait $!; done'];
        await create('slow', cluster.image, { spec: { terminationGracePeriodSeconds: 20 }, container: { command } });
        await cluster.admin.must('wait', '--for=condition=Ready', 'pod/slow', '--timeout=30s');
        const log = outcomeOf(cluster.admin, ['logs', '-f', 'slow']);
        await cluster.admin.must('delete', 'pod', 'slow', '--wait=false');
        expect(await cluster.admin.must('get', 'pod', 'slow', '--no-headers')).toContain('Terminating');
        expect(await outcomeOf(cluster.admin, ['exec', 'slow', '--', 'echo', 'still here'])).toBe('still here\nexit 0');
        await cluster.admin.must('wait', '--for=delete', 'pod/slow', '--timeout=30s');
        expect(await log).toBe('swept\nexit 0');
      });

      it('shows its static pods, and shows them again when somebody deletes one', { timeout: 60_000 }, async () => {
        const manifest = JSON.parse(podManifest('static', cluster.image)) as {
          spec: { nodeName?: string; containers: { resources?: object }[] };
        };
        delete manifest.spec.nodeName;
        // Of another class than a pod that asks for nothing.
        for (const container of manifest.spec.containers) container.resources = { requests: { cpu: '10m' } };
        writeFileSync(join(cluster.manifests, 'static.json'), JSON.stringify(manifest));
        const name = `static-${NODE_NAME}`;
        await expect
          .poll(() => outcomeOf(cluster.admin, ['get', 'pod', name, '--no-headers']), { timeout: 30_000 })
          .toMatch(/1\/1 +Running/);
        const uid = await fieldOf(`pod ${name}`, '.metadata.uid');
        expect(await fieldOf(`pod ${name}`, '.status.qosClass')).toBe('Burstable');
        await cluster.admin.must('delete', 'pod', name, '--wait=false');
        await expect
          .poll(() => outcomeOf(cluster.admin, ['get', 'pod', name, '-o', 'jsonpath={.metadata.uid}']), {
            timeout: 30_000,
          })
          .toMatch(new RegExp(`^(?!${uid})[0-9a-f-]{36}exit 0$`));
        expect(await outcomeOf(cluster.admin, ['exec', name, '--', 'echo', 'hello'])).toBe('hello\nexit 0');
        rmSync(join(cluster.manifests, 'static.json'));
        await cluster.admin.must('wait', '--for=delete', `pod/${name}`, '--timeout=30s');
      });

      it('may do what a node may, and no more', { timeout: 60_000 }, async () => {
        const kubeconfig = await cluster.apiserver.kubeconfig(`system:node:${NODE_NAME}`, { groups: ['system:nodes'] });
        using node = await Kubectl.create({ kubeconfig });
        expect(await outcomeOf(node, ['get', 'pods', '-A'])).toContain(
          `pods is forbidden: User "system:node:${NODE_NAME}" cannot list resource "pods" in API group "" at the cluster scope`,
        );
        expect(await outcomeOf(node, ['delete', 'node', NODE_NAME])).toContain('is forbidden');
        expect(await outcomeOf(node, ['run', 'mine', '--image=x'])).toContain(
          `node "${NODE_NAME}" can only create mirror pods`,
        );
      });

      it('has met no refusal of the apiserver on its way', () => {
        expect(cluster.kubelet.log.split('\n').filter((line) => line.startsWith('podwire kubelet: '))).toEqual([]);
      });
    });

    const makeTarget = demoPodTarget(() =>
      Kubectl.create({ kubeconfig: cluster.apiserver.adminKubeconfig, transport: 'websocket' }),
    );
    const way = 'kubectl → kube-apiserver → our kubelet → our runtime';
    execInterop(way, makeTarget, {}, { mebibytes: 8, sessions: 5 });
    streamInterop(way, makeTarget, { image: HOST_IMAGE, network: 'host' });
  },
);
