import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { TEST_IMAGE } from '../support/image.ts';
import { findProgram } from '../support/peer.ts';
import { describeWalledClusters, type WalledCluster } from './walled-cluster.ts';

// A port of the node that leads into a pod: kubectl → our apiserver → our kubelet → a runtime with walls

/** The network that tests give containerd maps none. */
const mapsPorts = findProgram('iptables') !== undefined && existsSync('/usr/lib/cni/portmap');

describeWalledClusters([], (runtime, start) => {
  describe.skipIf(runtime === 'containerd' || !mapsPorts)(`ports of the node: ${runtime}`, () => {
    let cluster: WalledCluster;

    beforeAll(async () => {
      cluster = await start();
    }, 120_000);

    afterAll(async () => {
      await cluster?.[Symbol.asyncDispose]();
    }, 60_000);

    it('lead into the pod that asks for them', { timeout: 90_000 }, async () => {
      const { kubectl } = cluster;
      const hostPort = await freePort();
      const container = { name: 'main', image: TEST_IMAGE, imagePullPolicy: 'IfNotPresent' };
      const script = 'cd /tmp && echo inside >index.html && exec httpd -f -p 8080';
      const ports = [{ containerPort: 8080, hostPort }];
      const containers = [{ ...container, command: ['sh', '-c', script], ports }];
      const spec = { terminationGracePeriodSeconds: 0, containers };
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'served' }, spec };
      const made = await kubectl.run(['create', '-f', '-'], { stdin: Buffer.from(JSON.stringify(pod)) });
      expect(made.stderr.toString()).toBe('');
      const answer = (): Promise<string> =>
        fetch(`http://127.0.0.1:${hostPort}/`).then(
          (found) => found.text(),
          (thrown: Error) => thrown.message,
        );
      await expect.poll(answer, { timeout: 60_000, interval: 500 }).toBe('inside\n');
      await kubectl.must('delete', 'pod', 'served', '--timeout=30s');
      await expect.poll(answer, { timeout: 30_000, interval: 500 }).toBe('fetch failed');
    });
  });
});
