import { totalmem } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TEST_IMAGE } from '../support/image.ts';
import { describeWalledClusters, type WalledCluster } from './walled-cluster.ts';

// What a pod's spec says of resources → our apiserver → our kubelet → a runtime with walls

const MIB = 2 ** 20;
const patience = { timeout: 60_000, interval: 200 };
/** Takes 200 MiB of memory at once. */
const GREEDY = 'dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null';

describeWalledClusters([], (runtime, start) => {
  describe(`resources of containers: ${runtime}`, () => {
    let cluster: WalledCluster;

    beforeAll(async () => {
      cluster = await start();
    }, 120_000);

    afterAll(async () => {
      await cluster?.[Symbol.asyncDispose]();
    }, 60_000);

    interface Run {
      readonly exitCode: string;
      readonly reason: string;
      readonly qosClass: string;
      readonly said: string;
    }

    /** A pod with one container that runs `script` once. */
    async function run(name: string, script: string, resources: object): Promise<Run> {
      const container = { name: 'main', image: TEST_IMAGE, imagePullPolicy: 'IfNotPresent', resources };
      const containers = [{ ...container, command: ['sh', '-c', script] }];
      const spec = { hostNetwork: true, restartPolicy: 'Never', containers };
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
      const { kubectl } = cluster;
      const stdin = Buffer.from(JSON.stringify(pod));
      const made = await kubectl.run(['create', '-f', '-'], { stdin });
      expect(made.stderr.toString()).toBe('');
      const field = (path: string): Promise<string> =>
        kubectl.must('get', 'pod', name, '-o', `jsonpath={.status.${path}}`);
      await expect.poll(() => field('phase'), patience).toMatch(/^(Succeeded|Failed)$/);
      const ended = 'containerStatuses[0].state.terminated';
      return {
        exitCode: await field(`${ended}.exitCode`),
        reason: await field(`${ended}.reason`),
        qosClass: await field('qosClass'),
        said: await kubectl.must('logs', name),
      };
    }

    const score = 'cat /proc/self/oom_score_adj';

    it('a container that takes more memory than its limit is killed for it', { timeout: 120_000 }, async () => {
      const greedy = await run('greedy', `exec ${GREEDY}`, { limits: { memory: '32Mi' } });
      expect(greedy).toMatchObject({ exitCode: '137', reason: 'OOMKilled', qosClass: 'Burstable' });
      const modest = await run('modest', GREEDY, { limits: { memory: '320Mi' } });
      expect(modest).toMatchObject({ exitCode: '0', reason: 'Completed' });
    });

    it('one that asks for nothing is the first to go when the machine is short', { timeout: 60_000 }, async () => {
      expect(await run('nothing', score, {})).toMatchObject({ qosClass: 'BestEffort', said: '1000\n' });
    });

    it('and the more it asks for, the later', { timeout: 60_000 }, async () => {
      const bytes = Math.floor(totalmem() / 4 / MIB) * MIB;
      const burstable = await run('asking', score, { requests: { memory: String(bytes) } });
      const expected = 1000 - Math.floor((1000 * bytes) / totalmem());
      expect(burstable).toMatchObject({ qosClass: 'Burstable', said: `${expected}\n` });
    });

    it('a pod that fixes all that it gets has a class of its own', { timeout: 60_000 }, async () => {
      const limits = { cpu: '200m', memory: '64Mi' };
      const fixed = await run('fixed', 'true', { limits, requests: { cpu: '0.2', memory: '65536Ki' } });
      expect(fixed).toMatchObject({ exitCode: '0', qosClass: 'Guaranteed' });
    });
  });
});
