import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { KubeApiserver } from '../support/kube-apiserver.ts';
import { Kubectl } from '../support/kubectl.ts';
import { MemoryIo } from '../support/memory-io.ts';
import { describeWithPeer } from '../support/peer.ts';

describeWithPeer(['kube-apiserver', 'etcd', 'kubectl'], 'podwire beside kubectl at a real kube-apiserver', () => {
  let apiserver: KubeApiserver;
  let kubectl: Kubectl;

  beforeAll(async () => {
    apiserver = await KubeApiserver.start();
    kubectl = await Kubectl.create({ kubeconfig: apiserver.adminKubeconfig });
    await kubectl.must('create', 'namespace', 'shop');
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
    expect(await podwire(args)).toBe(await kubectlSays(args));
  });
});
