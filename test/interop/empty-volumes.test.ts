import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TEST_IMAGE } from '../support/image.ts';
import { describeWalledClusters, type WalledCluster } from './walled-cluster.ts';

// Who may write into an emptyDir: kubectl → our apiserver → our kubelet → a runtime with walls

const patience = { timeout: 60_000, interval: 200 };

describeWalledClusters([], (runtime, start) => {
  describe(`an emptyDir: ${runtime}`, () => {
    let cluster: WalledCluster;

    beforeAll(async () => {
      cluster = await start();
    }, 120_000);

    afterAll(async () => {
      await cluster?.[Symbol.asyncDispose]();
    }, 60_000);

    it.each([
      ['anybody', { runAsUser: 1234, runAsGroup: 1234 }, '777 0\n1234\n'],
      [
        'its group, which has what is written',
        { runAsUser: 1234, runAsGroup: 1234, fsGroup: 2000 },
        '2777 2000\n2000\n',
      ],
    ])('is for %s', { timeout: 90_000 }, async (who, securityContext, expected) => {
      const { kubectl } = cluster;
      const name = who.split(' ')[0] ?? '';
      const script = 'stat -c "%a %g" /data && echo x >/data/x && stat -c %g /data/x';
      const container = { name: 'main', image: TEST_IMAGE, imagePullPolicy: 'IfNotPresent' };
      const volumeMounts = [{ name: 'data', mountPath: '/data' }];
      const containers = [{ ...container, command: ['sh', '-c', script], volumeMounts }];
      const volumes = [{ name: 'data', emptyDir: {} }];
      const spec = { hostNetwork: true, restartPolicy: 'Never', securityContext, volumes, containers };
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
      const made = await kubectl.run(['create', '-f', '-'], { stdin: Buffer.from(JSON.stringify(pod)) });
      expect(made.stderr.toString()).toBe('');
      const phase = (): Promise<string> => kubectl.must('get', 'pod', name, '-o', 'jsonpath={.status.phase}');
      await expect.poll(phase, patience).toMatch(/^(Succeeded|Failed)$/);
      expect(await kubectl.must('logs', name)).toBe(expected);
    });
  });
});
