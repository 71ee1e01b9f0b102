import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { KubeApiserver } from '../support/kube-apiserver.ts';
import { Kubectl } from '../support/kubectl.ts';
import { MemoryIo } from '../support/memory-io.ts';
import { describeWithPeer } from '../support/peer.ts';
import { withoutAges } from '../support/without-ages.ts';

/** @returns the path of a manifest of two limit ranges */
function writeLimits(folder: string): string {
  const range = (name: string, limits: readonly object[]): object => ({
    apiVersion: 'v1',
    kind: 'LimitRange',
    metadata: { name },
    spec: { limits },
  });
  const items = [
    range('containers', [
      {
        type: 'Container',
        max: { cpu: '2000m' },
        min: { cpu: '0.1' },
        default: { cpu: '1' },
        defaultRequest: { cpu: '0.5' },
      },
      { type: 'Pod', maxLimitRequestRatio: { memory: '2' } },
    ]),
    range('claims', [{ type: 'PersistentVolumeClaim', min: { storage: '1024Mi' } }]),
  ];
  const file = join(folder, 'limits.json');
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  return file;
}

describeWithPeer(['kube-apiserver', 'etcd', 'kubectl'], 'podwire beside kubectl at a real kube-apiserver', () => {
  let apiserver: KubeApiserver;
  let kubectl: Kubectl;

  beforeAll(async () => {
    apiserver = await KubeApiserver.start();
    kubectl = await Kubectl.create({ kubeconfig: apiserver.adminKubeconfig });
    await kubectl.must('create', 'namespace', 'shop');
    await kubectl.must('create', 'deployment', 'web', '-n', 'shop', '--image=busybox');
    await kubectl.must('create', 'service', 'clusterip', 'web', '-n', 'shop', '--tcp=80');
    await kubectl.must('create', 'quota', 'pods', '-n', 'shop', '--hard=pods=4,cpu=2');
    await kubectl.must('create', 'quota', 'memory', '-n', 'shop', '--hard=memory=2048Mi');
    const status = { status: { hard: { memory: '2048Mi', pods: '4' }, used: { memory: '100M' } } };
    const patch = JSON.stringify(status);
    await kubectl.must('patch', 'quota', 'memory', '-n', 'shop', '--subresource=status', '--type=merge', '-p', patch);
    await kubectl.must('create', '-f', writeLimits(apiserver.folder), '-n', 'shop');
  }, 180_000);

  afterAll(async () => {
    kubectl?.[Symbol.dispose]();
    await apiserver?.[Symbol.asyncDispose]();
  }, 60_000);

  async function podwire(args: readonly string[]): Promise<string> {
    const io = new MemoryIo(Readable.from([]));
    const [command = '', ...rest] = args;
    const code = await runCli([command, '--kubeconfig', apiserver.adminKubeconfig, ...rest], io);
    return `${io.out.text}${io.err.text}exit ${code}`;
  }

  async function kubectlSays(args: readonly string[]): Promise<string> {
    const { stdout, stderr, exitCode } = await kubectl.run(args);
    return `${stdout.toString()}${stderr.toString()}exit ${exitCode}`;
  }

  it.each([
    'get crd',
    'get svc,deploy -n shop -o wide',
    'get deployments.v1.apps -n shop -o name',
    'get all -n shop',
    'get all,quota -A --no-headers',
    'get pods,all -n shop -o name',
    'get all -n shop -o json',
    'delete all --all -n shop --dry-run=server',
    'wait deploy/web -n shop --for=jsonpath={.spec.replicas}=1',
    'describe ns shop',
    'describe ns default kube-system',
    'delete ns shop --dry-run=client',
    'delete ns shop --dry-run=server',
    'get ns shop -o yaml',
    'get ns shop -o json',
    'get ns -o yaml',
    'get ns shop -o yaml --show-managed-fields',
    'get ns -o json --show-managed-fields',
    'get ns shop -o jsonpath={.metadata.managedFields[*].manager}',
    'get ns shop -o custom-columns=WHO:.metadata.managedFields[*].manager',
    'get ns shop -w -o yaml --request-timeout=2s',
    'get ns --field-selector=metadata.name=shop -w -o yaml --request-timeout=2s',
    'get ns --field-selector=metadata.name=shop -w -o yaml --request-timeout=2s --show-managed-fields',
    'get ns --field-selector=metadata.name=shop -w -o json --output-watch-events --request-timeout=2s',
  ])('%s', { timeout: 60_000 }, async (line) => {
    const args = line.split(' ');
    expect(withoutAges(await podwire(args))).toBe(withoutAges(await kubectlSays(args)));
  });
});
