import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type ChildResult, runChild } from '../support/child.ts';
import { type HopCommand, PodwireHop, podwireArgv } from '../support/podwire.ts';
import { processesWith } from '../support/process-table.ts';

// Each hop as `podwire HOP`, a process of its own with certificates that it makes itself. Needs `npm run build`.

let folder: string;
const hops: PodwireHop[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-hops-'));
});
afterEach(async () => {
  for (const hop of hops.splice(0).toReversed()) await hop.stop();
  const left = processesWith(folder);
  rmSync(folder, { recursive: true });
  expect(left).toEqual([]);
});

async function start(command: HopCommand, ...flags: string[]): Promise<PodwireHop> {
  const hop = await PodwireHop.start(command, flags);
  hops.push(hop);
  return hop;
}

function podwire(...args: string[]): Promise<ChildResult> {
  const [node = '', ...argv] = podwireArgv(...args);
  return runChild(node, argv);
}

const kubeconfigOf = (hop: PodwireHop): string => /^kubeconfig (.*)$/m.exec(hop.log)?.[1] ?? '';

const pod = (name: string, nodeName?: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: {
    ...(nodeName === undefined ? {} : { nodeName }),
    hostNetwork: true,
    terminationGracePeriodSeconds: 1,
    containers: [{ name: 'main', image: 'podwire.local/host', command: ['sleep', '1000'] }],
  },
});

/** Tries until the pod runs. */
async function execWhenRunning(...args: string[]): Promise<ChildResult> {
  for (let last = await podwire('exec', ...args), tries = 0; ; last = await podwire('exec', ...args), tries += 1) {
    if (last.exitCode !== 125 || tries === 40) return last;
    await delay(250);
  }
}

const KUBELET_FLAGS = ['--port', '0', '--healthz-port', '0', '--hostname-override', 'n1', '--node-ip', '127.0.0.1'];

it('exec goes to a kubelet without an apiserver, by the kubeconfig that it wrote', async () => {
  const runtime = await start('runtime', '--state-dir', join(folder, 'runtime'));
  const manifests = join(folder, 'manifests');
  mkdirSync(manifests);
  writeFileSync(join(manifests, 'web.json'), JSON.stringify(pod('web')));
  const flags = ['--container-runtime-endpoint', runtime.address, '--root-dir', join(folder, 'kubelet')];
  const kubelet = await start('kubelet', ...flags, ...KUBELET_FLAGS, '--pod-manifest-path', manifests);
  const kubeconfig = kubeconfigOf(kubelet);
  expect(statSync(kubeconfig).mode & 0o777).toBe(0o600);
  const there = ['--kubeconfig', kubeconfig, '--kubelet', kubelet.address];

  const script = 'echo out; echo err >&2; exit 7';
  const first = await execWhenRunning(...there, 'web-n1', '--', 'sh', '-c', script);
  expect([first.stdout.toString(), first.exitCode]).toEqual(['out\n', 7]);
  expect(first.stderr.toString()).toBe('err\ncommand terminated with exit code 7\n');
  const overSpdy = await podwire('exec', ...there, '--transport', 'spdy', 'web-n1', '-c', 'main', '--', 'echo', 'spdy');
  expect([overSpdy.stdout.toString(), overSpdy.exitCode]).toEqual(['spdy\n', 0]);

  // Without its authority the kubelet is not believed, and without credentials it does not believe us.
  const [, ...strangers] = there;
  const stranger = ['--kubeconfig', '/dev/null', ...strangers.slice(1)];
  const untrusted = await podwire('exec', ...stranger, 'web-n1', '--', 'true');
  expect([untrusted.exitCode, untrusted.stderr.toString()]).toEqual([
    125,
    expect.stringContaining('signed by nobody we trust') as unknown,
  ]);
  const unknown = await podwire('exec', ...stranger, '--insecure-skip-tls-verify', 'web-n1', '--', 'true');
  expect([unknown.exitCode, unknown.stderr.toString()]).toEqual([
    125,
    expect.stringContaining('where:   kubelet') as unknown,
  ]);
});

it('exec goes through an apiserver to a kubelet that registered with it', async () => {
  const runtime = await start('runtime', '--state-dir', join(folder, 'runtime'));
  const certDir = join(folder, 'apiserver');
  const apiserverFlags = [
    '--secure-port',
    '0',
    '--cert-dir',
    certDir,
    '--kubelet-preferred-address-types',
    'InternalIP',
  ];
  const apiserver = await start('apiserver', ...apiserverFlags);
  const kubeconfig = kubeconfigOf(apiserver);
  const flags = ['--container-runtime-endpoint', runtime.address, '--root-dir', join(folder, 'kubelet')];
  const access = ['--kubeconfig', kubeconfig, '--client-ca-file', join(certDir, 'ca', 'ca.crt')];
  await start('kubelet', ...flags, ...KUBELET_FLAGS, ...access);
  const there = ['--kubeconfig', kubeconfig];
  await create(kubeconfig, pod('web', 'n1'));
  const ran = await execWhenRunning(...there, 'web', '--', 'sh', '-c', 'echo through; exit 3');
  expect([ran.stdout.toString(), ran.exitCode, ran.stderr.toString()]).toEqual([
    'through\n',
    3,
    'command terminated with exit code 3\n',
  ]);
  const nodes = await podwire('get', 'nodes', ...there);
  expect(nodes.stdout.toString()).toMatch(/^NAME +STATUS .*\nn1 +Ready /);
});

it('each hop ends with 0 when it is told to', async () => {
  const runtime = await start('runtime', '--state-dir', join(folder, 'runtime'));
  const apiserver = await start('apiserver', '--secure-port', '0', '--cert-dir', join(folder, 'apiserver'));
  for (const [hop, signal] of [
    [runtime, 'SIGINT'],
    [apiserver, 'SIGTERM'],
  ] as const) {
    hop.signal(signal);
    expect(await hop.exited).toMatchObject({ exitCode: 0 });
  }
});

async function create(kubeconfig: string, object: object): Promise<void> {
  const { createTransport, KubeClient, loadClientConfig, pods } = await import('../../src/kubeapi/index.ts');
  const client = new KubeClient(createTransport(await loadClientConfig({ kubeconfig })));
  await client.create(pods, object as never, { namespace: 'default' });
  client.close();
}
