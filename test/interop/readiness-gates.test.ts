import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { NODE_NAME, startCluster } from '../../src/cluster/index.ts';
import { HOST_IMAGE } from '../../src/runtime/index.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';
import { startRealCluster } from './real-cluster.ts';

// kubectl, as one that says of pods whether they are ready → an apiserver → our kubelet. Needs `npm run build`.

interface Reach extends AsyncDisposable {
  readonly kubectl: Kubectl;
}

async function ofOurs(): Promise<Reach> {
  const stateDir = mkdtempSync(join(tmpdir(), 'podwire-gates-'));
  const cluster = await startCluster({ stateDir, securePort: 0, version: '0.0.0' });
  const kubectl = await Kubectl.create({ kubeconfig: cluster.kubeconfig });
  const dispose = async (): Promise<void> => {
    kubectl[Symbol.dispose]();
    await cluster.close();
    rmSync(stateDir, { recursive: true, force: true });
  };
  return { kubectl, [Symbol.asyncDispose]: dispose };
}

async function ofReal(): Promise<Reach> {
  const cluster = await startRealCluster('host');
  return { kubectl: cluster.admin, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() };
}

function gatesInterop(start: () => Promise<Reach>): void {
  let reach: Reach;

  beforeAll(async () => {
    reach = await start();
  }, 180_000);

  afterAll(() => reach?.[Symbol.asyncDispose](), 60_000);

  const patience = { timeout: 30_000, interval: 200 };

  it('is ready when those say so whom its readiness gates name', { timeout: 90_000 }, async () => {
    const { kubectl } = reach;
    const readinessGates = [{ conditionType: 'example.com/first' }, { conditionType: 'example.com/second' }];
    const container = { name: 'main', image: HOST_IMAGE, command: ['sleep', '100000'] };
    const spec = { nodeName: NODE_NAME, hostNetwork: true, terminationGracePeriodSeconds: 0, readinessGates };
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'gated' },
      spec: { ...spec, containers: [container] },
    };
    const made = await kubectl.run(['create', '-f', '-'], { stdin: Buffer.from(JSON.stringify(pod)) });
    expect(made.stderr.toString()).toBe('');

    const field = (type: string, name: string): Promise<string> =>
      kubectl.must('get', 'pod', 'gated', '-o', `jsonpath={.status.conditions[?(@.type=="${type}")].${name}}`);
    const set = (type: string, status: string): Promise<string> => {
      const conditions = [{ type: `example.com/${type}`, status, reason: 'Said' }];
      return kubectl.must(
        'patch',
        'pod',
        'gated',
        '--subresource=status',
        '-p',
        JSON.stringify({ status: { conditions } }),
      );
    };
    const ready = (): Promise<string> => field('Ready', 'message');

    await expect.poll(() => field('ContainersReady', 'status'), patience).toBe('True');
    await expect
      .poll(ready, patience)
      .toBe(
        'corresponding condition of pod readiness gate "example.com/first" does not exist., ' +
          'corresponding condition of pod readiness gate "example.com/second" does not exist.',
      );
    expect(await field('Ready', 'reason')).toBe('ReadinessGatesNotReady');
    await set('first', 'True');
    await set('second', 'False');
    await expect
      .poll(ready, patience)
      .toBe('the status of pod readiness gate "example.com/second" is not "True", but False');
    await set('second', 'True');
    await kubectl.must('wait', '--for=condition=Ready', 'pod/gated', '--timeout=30s');
    expect(await kubectl.must('get', 'pod', 'gated', '-o', 'wide', '--no-headers')).toMatch(/ 2\/2\n$/);
    await set('first', 'False');
    await expect.poll(() => field('Ready', 'status'), patience).toBe('False');
    // What others have set is still as they have.
    expect(await field('example.com/first', 'reason')).toBe('Said');
    expect(await field('example.com/second', 'status')).toBe('True');
  });
}

describeWithPeer('kubectl', 'a pod of our apiserver on our kubelet', () => gatesInterop(ofOurs));

describeWithPeer(['kube-apiserver', 'etcd', 'kubectl'], 'a pod of a real kube-apiserver on our kubelet', () =>
  gatesInterop(ofReal),
);
