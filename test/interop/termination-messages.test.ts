import { expect, it } from 'vitest';
import { TEST_IMAGE } from '../support/image.ts';
import { describeWalledClusters, patience, shell } from './walled-cluster.ts';

// What containers leave to say when they end → a runtime with walls → our kubelet → our apiserver → kubectl

describeWalledClusters('termination messages', [], (cluster) => {
  const container = (name: string, script: string, more: object = {}): object => shell(script, { name, ...more });

  const create = (name: string, spec: object): Promise<void> => cluster.create(name, { hostNetwork: true, ...spec });

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
    await cluster.untilOver('left');
    expect(await cluster.statusOf('left', 'initContainerStatuses[0].state.terminated.message')).toBe('prepared');
    const messages = 'containerStatuses[*].state.terminated.message';
    expect(await cluster.statusOf('left', messages)).toBe('out of disk\n here');
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
    await cluster.untilOver('logged');
    const lines = Array.from({ length: 80 }, (_, at) => `${at + 21}\n`).join('');
    expect(await cluster.statusOf('logged', 'containerStatuses[0].state.terminated.message')).toBe(lines);
    expect(await cluster.statusOf('logged', 'containerStatuses[1].state.terminated.message')).toBe('');
    expect(await cluster.statusOf('logged', 'containerStatuses[2].state.terminated.message')).toBe('file');
  });

  it('are of each attempt its own', { timeout: 90_000 }, async () => {
    const script = 'echo -n "it was $(wc -c </dev/termination-log)" >/dev/termination-log; exit 1';
    await create('again', { terminationGracePeriodSeconds: 0, containers: [container('main', script)] });
    await expect.poll(() => cluster.statusOf('again', 'containerStatuses[0].restartCount'), patience).not.toBe('0');
    await expect
      .poll(() => cluster.statusOf('again', 'containerStatuses[0].lastState.terminated.message'), patience)
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
      .poll(() => cluster.statusOf('debugged', 'ephemeralContainerStatuses[0].state.terminated.message'), patience)
      .toBe('seen');
  });
});
