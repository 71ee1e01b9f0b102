import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TEST_IMAGE } from '../support/image.ts';
import { describeWalledClusters, type WalledCluster } from './walled-cluster.ts';

// What containers leave to say when they end → a runtime with walls → our kubelet → our apiserver → kubectl

const patience = { timeout: 60_000, interval: 200 };

describeWalledClusters([], (runtime, start) => {
  describe(`termination messages: ${runtime}`, () => {
    let cluster: WalledCluster;

    beforeAll(async () => {
      cluster = await start();
    }, 120_000);

    afterAll(async () => {
      await cluster?.[Symbol.asyncDispose]();
    }, 60_000);

    const container = (name: string, script: string, more: object = {}): object => ({
      name,
      image: TEST_IMAGE,
      imagePullPolicy: 'IfNotPresent',
      command: ['sh', '-c', script],
      ...more,
    });

    async function create(name: string, spec: object): Promise<void> {
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { hostNetwork: true, ...spec } };
      const made = await cluster.kubectl.run(['create', '-f', '-'], { stdin: Buffer.from(JSON.stringify(pod)) });
      expect(made.stderr.toString()).toBe('');
    }

    const field = (pod: string, path: string): Promise<string> =>
      cluster.kubectl.must('get', 'pod', pod, '-o', `jsonpath={.status.${path}}`);

    const untilOver = (pod: string): Promise<void> =>
      expect.poll(() => field(pod, 'phase'), patience).toMatch(/^(Succeeded|Failed)$/);

    it('are what a container wrote, whoever it runs as, init containers too', { timeout: 90_000 }, async () => {
      const asSomebody = { securityContext: { runAsUser: 1234 } };
      await create('left', {
        restartPolicy: 'Never',
        initContainers: [container('first', 'echo -n prepared >/dev/termination-log')],
        containers: [
          container('main', 'echo out of disk >/dev/termination-log; exit 3', asSomebody),
          container('other', 'echo -n here >/tmp/last', { terminationMessagePath: '/tmp/last' }),
          container('silent', 'echo said'),
        ],
      });
      await untilOver('left');
      expect(await field('left', 'initContainerStatuses[0].state.terminated.message')).toBe('prepared');
      const messages = 'containerStatuses[*].state.terminated.message';
      expect(await field('left', messages)).toBe('out of disk\n here');
      expect(await cluster.kubectl.must('describe', 'pod', 'left')).toMatch(
        /Reason: +Error\n +Message: +out of disk\n+ +Exit Code: +3\n/,
      );
    });

    it('are the end of the log of one that failed, when its pod says so', { timeout: 90_000 }, async () => {
      const policy = { terminationMessagePolicy: 'FallbackToLogsOnError' };
      await create('logged', {
        restartPolicy: 'Never',
        containers: [
          container('failed', 'seq 1 100; exit 1', policy),
          container('well', 'echo fine', policy),
          container('wrote', 'echo log; echo -n file >/dev/termination-log; exit 1', policy),
        ],
      });
      await untilOver('logged');
      const lines = Array.from({ length: 80 }, (_, at) => `${at + 21}\n`).join('');
      expect(await field('logged', 'containerStatuses[0].state.terminated.message')).toBe(lines);
      expect(await field('logged', 'containerStatuses[1].state.terminated.message')).toBe('');
      expect(await field('logged', 'containerStatuses[2].state.terminated.message')).toBe('file');
    });

    it('are of each attempt its own', { timeout: 90_000 }, async () => {
      const script = 'echo -n "it was $(wc -c </dev/termination-log)" >/dev/termination-log; exit 1';
      await create('again', { terminationGracePeriodSeconds: 0, containers: [container('main', script)] });
      await expect.poll(() => field('again', 'containerStatuses[0].restartCount'), patience).not.toBe('0');
      await expect
        .poll(() => field('again', 'containerStatuses[0].lastState.terminated.message'), patience)
        .toBe('it was 0');
      await cluster.kubectl.must('delete', 'pod', 'again', '--wait=false');
    });

    it('are those of ephemeral containers too', { timeout: 90_000 }, async () => {
      const spec = { terminationGracePeriodSeconds: 0, containers: [container('main', 'sleep 1000')] };
      await create('debugged', spec);
      await cluster.kubectl.must('wait', '--for=condition=Ready', 'pod/debugged', '--timeout=60s');
      const script = 'echo -n seen >/dev/termination-log';
      const debug = ['debug', 'debugged', `--image=${TEST_IMAGE}`, '--image-pull-policy=IfNotPresent', '-c', 'shell'];
      await cluster.kubectl.must(...debug, '--', 'sh', '-c', script);
      await expect
        .poll(() => field('debugged', 'ephemeralContainerStatuses[0].state.terminated.message'), patience)
        .toBe('seen');
    });
  });
});
