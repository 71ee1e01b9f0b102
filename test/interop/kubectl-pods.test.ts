import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../src/cluster/index.ts';
import { requirePeer } from '../support/find-peer.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';

const IMAGE = 'podwire.local/host';

const shell = (name: string, script: string): object => ({ name, image: IMAGE, command: ['sh', '-c', script] });

const manifest = (name: string, spec: object): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { suite: 'pods' } },
    spec: { hostNetwork: true, terminationGracePeriodSeconds: 1, ...spec },
  });

/** Pods that name no node, from their creation to their end, by both kubectls on all four hops. */
for (const peer of ['kubectl', 'kubectl-1.20'] as const) {
  describeWithPeer(peer, `pods by a real ${peer}`, () => {
    let folder: string;
    let cluster: Cluster;
    let kubectl: Kubectl;

    async function outcomeOf(args: readonly string[], stdin = ''): Promise<string> {
      const { stdout, stderr, exitCode } = await kubectl.run(args, { stdin: Buffer.from(stdin) });
      return `${stdout.toString()}${stderr.toString()}exit ${exitCode}`;
    }

    const create = async (name: string, spec: object): Promise<void> => {
      expect(await outcomeOf(['create', '-f', '-'], manifest(name, spec))).toBe(`pod/${name} created\nexit 0`);
    };

    const fieldOf = (pod: string, path: string): Promise<string> =>
      kubectl.must('get', 'pod', pod, '-o', `jsonpath={${path}}`);

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'podwire-pods-'));
      cluster = await startCluster({ stateDir: folder, securePort: 0, version: '0.0.0' });
      kubectl = await Kubectl.create({ kubeconfig: cluster.kubeconfig, program: requirePeer(peer) });
    }, 60_000);

    afterAll(async () => {
      kubectl[Symbol.dispose]();
      await cluster.close();
      rmSync(folder, { recursive: true, force: true });
    }, 60_000);

    it('run on the node that takes them, init containers first, and say so', { timeout: 60_000 }, async () => {
      await create('web', {
        initContainers: [shell('prepare', 'echo prepared')],
        containers: [
          {
            ...shell('main', 'echo "$(WHO)"; echo worse >&2; exec sleep 100000'),
            env: [{ name: 'WHO', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
          },
        ],
      });
      expect(await outcomeOf(['wait', '--for=condition=Ready', 'pod/web', '--timeout=30s'])).toBe(
        'pod/web condition met\nexit 0',
      );
      expect(await fieldOf('web', '.spec.nodeName')).toBe('podwire');
      // What it was not ready for is forgotten when it is.
      expect(await fieldOf('web', '.status.conditions[?(@.type=="Ready")].message')).toBe('');
      expect(await kubectl.must('get', 'pods', '-l', 'suite=pods', '--no-headers')).toMatch(
        /^web +1\/1 +Running +0 +\d+s\n$/,
      );
      // kubectl sorts events by their seconds, and all of these may be of one.
      const lines = [
        /Scheduled .* Successfully assigned default\/web to podwire/,
        /Started .* Started container prepare/,
        /Started .* Started container main/,
      ];
      for (const line of lines) {
        await expect.poll(() => kubectl.must('describe', 'pod', 'web'), { timeout: 10_000 }).toMatch(line);
      }
    });

    it('give their logs, whole, in part and followed', { timeout: 60_000 }, async () => {
      expect(await outcomeOf(['logs', 'web', '-c', 'prepare'])).toBe('prepared\nexit 0');
      await expect.poll(() => kubectl.must('logs', 'web', '-c', 'main')).toMatch(/^web\nworse\n$|^worse\nweb\n$/);
      expect(await kubectl.must('logs', 'web', '-c', 'main', '--tail=1')).toMatch(/^(web|worse)\n$/);
      expect(await kubectl.must('logs', 'web', '-c', 'main', '--timestamps', '--tail=1')).toMatch(
        /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z \w+\n$/,
      );
      expect(await kubectl.must('logs', 'web', '-c', 'main', '--limit-bytes=2')).toMatch(/^(we|wo)$/);
      expect(await kubectl.must('logs', 'web', '-c', 'main', '--since=1h')).toContain('worse\n');
      await create('short', {
        restartPolicy: 'Never',
        containers: [shell('c', 'for i in 1 2 3; do echo $i; sleep 0.2; done')],
      });
      await kubectl.must('wait', '--for=condition=PodReadyToStartContainers', 'pod/short', '--timeout=20s');
      await expect.poll(() => outcomeOf(['logs', '-f', 'short']), { timeout: 20_000 }).toBe('1\n2\n3\nexit 0');
      await expect.poll(() => fieldOf('short', '.status.phase')).toBe('Succeeded');
    });

    it('start again, and give the log of the attempt before', { timeout: 60_000 }, async () => {
      await create('crash', { containers: [shell('c', 'echo boom; exit 3')] });
      await expect
        .poll(() => fieldOf('crash', '.status.containerStatuses[0].state.waiting.reason'), { timeout: 30_000 })
        .toBe('CrashLoopBackOff');
      expect(await fieldOf('crash', '.status.containerStatuses[0].state.waiting.message')).toMatch(
        /^back-off [12]0s restarting failed container=c pod=crash_default\([\w-]+\)$/,
      );
      expect(await fieldOf('crash', '.status.containerStatuses[0].lastState.terminated.exitCode')).toBe('3');
      expect(await outcomeOf(['logs', '-p', 'crash'])).toBe('boom\nexit 0');
      await expect
        .poll(() => kubectl.must('get', 'events', '--field-selector', 'involvedObject.name=crash'))
        .toContain('Back-off restarting failed container c in pod crash_default(');
    });

    it('say word for word why there is no log', { timeout: 60_000 }, async () => {
      expect(await outcomeOf(['logs', 'web', '-c', 'nope'])).toContain(
        'container nope is not valid for pod web\nexit 1',
      );
      expect(await outcomeOf(['logs', 'nope'])).toMatch(/pods "nope" not found/);
      expect(await outcomeOf(['logs', '-p', 'web', '-c', 'main'])).toBe(
        'Error from server (BadRequest): previous terminated container "main" in pod "web" not found\nexit 1',
      );
      const raw = '/api/v1/namespaces/default/pods/web/log';
      expect(await outcomeOf(['get', '--raw', `${raw}?tailLines=-1`])).toBe(
        'The PodLogOptions "web" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0\nexit 1',
      );
      await create('missing', { containers: [{ name: 'c', image: 'registry.invalid/none' }] });
      await expect
        .poll(() => outcomeOf(['logs', 'missing']), { timeout: 20_000 })
        .toMatch(
          /^Error from server \(BadRequest\): container "c" in pod "missing" is waiting to start: (image can't be pulled|trying and failing to pull image)\nexit 1$/,
        );
      await create('two', { containers: [shell('a', 'sleep 100000'), shell('b', 'sleep 100000')] });
      expect(await outcomeOf(['get', '--raw', '/api/v1/namespaces/default/pods/two/log'])).toBe(
        'Error from server (BadRequest): a container name must be specified for pod two, choose one of: [a b]\nexit 1',
      );
    });

    it('wait while no node takes them, are evicted, and go with their namespace', { timeout: 90_000 }, async () => {
      await kubectl.must('cordon', 'podwire');
      await create('late', { containers: [shell('c', 'sleep 100000')] });
      await expect
        .poll(() => fieldOf('late', '.status.conditions[?(@.type=="PodScheduled")].message'))
        .toBe(
          '0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes are available: ' +
            '1 Preemption is not helpful for scheduling.',
        );
      expect(await outcomeOf(['logs', 'late'])).toBe('exit 0');
      expect(await outcomeOf(['exec', 'late', '--', 'true'])).toContain('pod late does not have a host assigned');
      await kubectl.must('uncordon', 'podwire');
      await kubectl.must('wait', '--for=condition=Ready', 'pod/late', '--timeout=30s');
      await kubectl.must('create', 'namespace', 'mine');
      await kubectl.must('-n', 'mine', 'create', 'serviceaccount', 'robot');
      await kubectl.must('-n', 'mine', 'run', 'inside', `--image=${IMAGE}`, '--restart=Never', '--', 'true');
      expect(await outcomeOf(['delete', 'namespace', 'mine'])).toBe('namespace "mine" deleted\nexit 0');
      expect(await outcomeOf(['get', 'namespace', 'mine'])).toContain('namespaces "mine" not found');
      expect(await kubectl.must('delete', 'pods', '-l', 'suite=pods')).toContain('pod "web" deleted\n');
      expect(await kubectl.must('get', 'pods', '-l', 'suite=pods', '-o', 'name')).toBe('');
    });
  });
}
