import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { type Cluster, startCluster } from '../../src/cluster/index.ts';
import { Kubectl } from '../support/kubectl.ts';
import { MemoryIo } from '../support/memory-io.ts';
import { describeWithPeer } from '../support/peer.ts';

const container = (name: string, script: string): object => ({
  name,
  image: 'podwire.local/host',
  command: ['sh', '-c', script],
});

const count = 'for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo $NAME $n; done';

const pod = (name: string, spec: object, metadata: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: 'web' }, ...metadata },
  spec: { hostNetwork: true, terminationGracePeriodSeconds: 1, restartPolicy: 'Never', ...spec },
});

const several = pod('several', {
  initContainers: [container('prepare', 'echo prepared')],
  containers: [container('a', count), container('b', 'echo one; echo two')],
});
const single = pod('single', { containers: [container('a', 'echo single')] });
const chosen = pod(
  'chosen',
  { containers: [container('a', 'echo a'), container('b', 'printf b')] },
  { labels: { app: 'chosen' }, annotations: { 'kubectl.kubernetes.io/default-container': 'b' } },
);
const misled = pod(
  'misled',
  { containers: [container('a', 'echo a')] },
  { labels: { app: 'misled' }, annotations: { 'kubectl.kubernetes.io/default-container': 'zz' } },
);

/** kubectl shows the logs of several containers in any order, so lines are compared as a set. */
const lines = [
  'logs several',
  'logs several -c b',
  'logs several b',
  'logs several b -f',
  'logs several --all-containers',
  'logs several --all-containers --prefix',
  'logs several --all-containers --tail=2 --prefix -f',
  'logs several -c b --limit-bytes=2 --prefix',
  'logs -l app=web',
  'logs -l app=web --tail=-1',
  'logs -l app=web --prefix',
  'logs -l app=web --all-containers --prefix --tail=1',
  'logs -l app=web --all-containers -f',
  'logs -l app=web --all-containers -f --prefix --max-log-requests=4',
  'logs -l app=web --all-containers -f --max-log-requests=3',
  'logs -l app=nope',
  'logs -l app=web -c b',
  'logs -l app=web -c b --ignore-errors',
  'logs -l a=b=c',
  'logs chosen',
  'logs misled',
  'logs nope',
  'logs nope -n nope',
  'logs several -c nope',
  'logs several -p -c a',
  'logs several -p --all-containers --ignore-errors',
  'logs several --all-containers -c a',
  'logs several a -c a',
  'logs several -l app=web',
  'logs',
  'logs a b c',
  'logs several --tail=-2',
  'logs several --limit-bytes=-2',
  'logs several --since=-2s',
  'logs several --since=2s --since-time=2026-01-01T00:00:00Z',
];

describeWithPeer('kubectl', 'podwire logs beside a real kubectl', () => {
  let folder: string;
  let cluster: Cluster;
  let kubectl: Kubectl;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'podwire-logs-'));
    cluster = await startCluster({ stateDir: folder, securePort: 0, version: '0.0.0' });
    kubectl = await Kubectl.create({ kubeconfig: cluster.kubeconfig });
    for (const one of [several, single, chosen, misled]) {
      const { exitCode, stderr } = await kubectl.run(['create', '-f', '-'], {
        stdin: Buffer.from(JSON.stringify(one)),
      });
      expect(exitCode, stderr.toString()).toBe(0);
    }
    await kubectl.must(
      'wait',
      '--for=jsonpath={.status.phase}=Succeeded',
      'pod/several',
      'pod/single',
      'pod/chosen',
      'pod/misled',
    );
  }, 90_000);

  afterAll(async () => {
    kubectl[Symbol.dispose]();
    await cluster.close();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it.each(lines)('%s', { timeout: 30_000 }, async (line) => {
    const [command = '', ...rest] = line.split(' ');
    const io = new MemoryIo();
    const code = await runCli([command, '--kubeconfig', cluster.kubeconfig, ...rest], io);
    const theirs = await kubectl.run(line.split(' '));
    expect(asSet(io.out.text)).toEqual(asSet(theirs.stdout.toString()));
    expect(withoutHints(io.err.text)).toEqual(withoutHints(theirs.stderr.toString()));
    expect(code).toBe(theirs.exitCode);
  });
});

function asSet(text: string): readonly string[] {
  return text.split(/(?<=\n)/).sort();
}

/** Without what podwire says more, and where each sends people for help. */
function withoutHints(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => !/^ {2}|^See '/.test(line))
    .sort();
}
