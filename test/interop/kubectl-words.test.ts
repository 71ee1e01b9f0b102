import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Cluster, NODE_NAME, startCluster } from '../../src/cluster/index.ts';
import { requirePeer } from '../support/find-peer.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';

const exec = '/api/v1/namespaces/default/pods/two/exec';
const refused = 'error: Internal error occurred: unable to upgrade connection: ';
const server = (reason: string, message: string): string => `Error from server (${reason}): ${message}`;

/**
 * What kubectl 1.32.4 prints last before a kube-apiserver 1.32.4 with the same objects: a pod `two` with the containers a
 * and b on a node that is gone, a pod `pend` that has none, and a pod `unpulled` whose image is nowhere. Printed by both and compared, in November 2026.
 */
const said: readonly (readonly [line: string, words: string])[] = [
  ['get pod nope', server('NotFound', 'pods "nope" not found')],
  ['get pod nope -n nope', server('NotFound', 'namespaces "nope" not found')],
  ['exec nope -- ls', server('NotFound', 'pods "nope" not found')],
  ['exec two -c nope -- ls', server('BadRequest', 'container nope is not valid for pod two')],
  ['exec two -n nope -- ls', server('NotFound', 'namespaces "nope" not found')],
  ['exec pend -- ls', server('BadRequest', 'pod pend does not have a host assigned')],
  ['exec two -c a -- ls', server('NotFound', 'pods "gone" not found')],
  ...[`get --raw ${exec}?command=ls`, `create --raw ${exec}?command=ls&stdout=1 -f /dev/null`].map(
    (line) =>
      [line, server('BadRequest', 'a container name must be specified for pod two, choose one of: [a b]')] as const,
  ),
  [
    `create --raw ${exec}?command=ls&stdout=1&container=zz -f /dev/null`,
    server('BadRequest', 'container zz is not valid for pod two'),
  ],
  ['exec unpulled -- ls', `${refused}container not found ("a")`],
  ['exec -it unpulled -- ls', `${refused}container not found ("a")`],
  ['attach unpulled', `${refused}container a not found in pod unpulled_default`],
  ['attach two -c a', server('NotFound', 'pods "gone" not found')],
  ['attach pend', server('BadRequest', 'pod pend does not have a host assigned')],
  ['port-forward pend 18080:80', 'error: unable to forward port because pod is not running. Current status=Pending'],
  ['logs two -c a', server('NotFound', 'pods "gone" not found')],
  ['logs two -c nope', 'error: container nope is not valid for pod two'],
  ['logs two -n nope', 'error: error from server (NotFound): namespaces "nope" not found in namespace "nope"'],
  ['delete pod nope -n nope', server('NotFound', 'pods "nope" not found')],
  ['delete ns nope', server('NotFound', 'namespaces "nope" not found')],
  ['label pod nope a=b', server('NotFound', 'pods "nope" not found')],
  ['patch pod nope -p {}', server('NotFound', 'pods "nope" not found')],
  ['run x -n nope --image=i', server('NotFound', 'namespaces "nope" not found')],
  ['create sa x -n nope', 'error: failed to create serviceaccount: namespaces "nope" not found'],
  ['describe pod nope -n nope', server('NotFound', 'namespaces "nope" not found')],
  ['wait pod/nope --for=condition=Ready', server('NotFound', 'pods "nope" not found')],
  ['wait pod/pend --for=condition=Ready --timeout=1s', 'error: timed out waiting for the condition on pods/pend'],
];

describeWithPeer('kubectl', 'what a real kubectl is told, word for word as by a kube-apiserver', () => {
  let folder: string;
  let cluster: Cluster;
  let kubectl: Kubectl;

  const pod = (name: string, spec: object, containers: readonly string[]): Uint8Array =>
    Buffer.from(
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name },
        spec: { ...spec, containers: containers.map((container) => ({ name: container, image: 'i' })) },
      }),
    );

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'podwire-words-'));
    cluster = await startCluster({ stateDir: folder, securePort: 0, version: '0.0.0' });
    kubectl = await Kubectl.create({ kubeconfig: cluster.kubeconfig, program: requirePeer('kubectl') });
    for (const stdin of [
      pod('two', { nodeName: 'gone' }, ['a', 'b']),
      pod('pend', { schedulerName: 'none' }, ['a']),
      pod('unpulled', { nodeName: NODE_NAME }, ['a']),
    ]) {
      expect((await kubectl.run(['create', '-f', '-'], { stdin })).exitCode).toBe(0);
    }
    await kubectl.must('wait', '--for=jsonpath={.status.containerStatuses[0].state.waiting.message}', 'pod/unpulled');
  }, 60_000);

  afterAll(async () => {
    kubectl[Symbol.dispose]();
    await cluster.close();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it.each(said)('%s', { timeout: 30_000 }, async (line, words) => {
    const { stderr, exitCode } = await kubectl.run(line.split(' '));
    expect(stderr.toString().trim().split('\n').at(-1)).toBe(words);
    expect(exitCode).toBe(1);
  });

  it('says which container it took, and that one being deleted may still be looked at', {
    timeout: 60_000,
  }, async () => {
    const { stderr } = await kubectl.run(['logs', 'two']);
    expect(stderr.toString()).toBe(
      'Defaulted container "a" out of: a, b\nError from server (NotFound): pods "gone" not found\n',
    );
    await kubectl.must('wait', '--for=condition=Ready', 'pod/demo', '--timeout=30s');
    expect(await kubectl.must('exec', 'demo', '--', 'echo', 'here')).toBe('here\n');
  });
});
