import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { type Cluster, startCluster } from '../../src/cluster/index.ts';
import { MemoryIo } from '../support/memory-io.ts';

const IMAGE = 'podwire.local/host';

let folder: string;
let cluster: Cluster;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-objects-'));
  cluster = await startCluster({ stateDir: folder, securePort: 0, version: '0.0.0' });
}, 60_000);

afterAll(async () => {
  await cluster.close();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** What the command wrote and how it ended. */
async function podwire(args: readonly string[], stdin = ''): Promise<string> {
  const io = new MemoryIo(Readable.from([stdin]));
  const [command = '', ...rest] = args;
  const code = await runCli([command, '--kubeconfig', cluster.kubeconfig, ...rest], io);
  return `${io.out.text}${io.err.text}exit ${code}`;
}

const manifest = (labels: object, script = 'echo hello; exec sleep 100000'): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', labels },
    spec: {
      hostNetwork: true,
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'c', image: IMAGE, command: ['sh', '-c', script] }],
    },
  });

it('applies, waits for, shows, logs and deletes a pod', { timeout: 60_000 }, async () => {
  expect(await podwire(['apply', '-f', '-', '--dry-run=server'], manifest({ a: '1' }))).toBe(
    'pod/web created (server dry run)\nexit 0',
  );
  expect(await podwire(['apply', '-f', '-'], manifest({ a: '1', b: '2' }))).toBe('pod/web created\nexit 0');
  expect(await podwire(['wait', '--for=condition=Ready', 'pod/web'])).toBe('pod/web condition met\nexit 0');
  expect(await podwire(['apply', '-f', '-'], manifest({ a: '1', b: '2' }))).toBe('pod/web unchanged\nexit 0');
  const dry = ['apply', '-f', '-', '--dry-run=server'];
  expect(await podwire(dry, manifest({ a: '1', b: '2' }))).toBe('pod/web unchanged (server dry run)\nexit 0');
  expect(await podwire(dry, manifest({ a: '1' }))).toBe('pod/web configured (server dry run)\nexit 0');
  expect(await podwire(['apply', '-f', '-'], manifest({ a: '3' }))).toBe('pod/web configured\nexit 0');
  expect(await podwire(['get', 'pods', '-l', 'a=3,!b', '-o', 'name'])).toBe('pod/web\nexit 0');
  expect(await podwire(['get', 'pod/web', 'node/podwire', '-o', 'name'])).toBe('pod/web\nnode/podwire\nexit 0');
  expect(await podwire(['get', 'pod', 'web', 'demo', '--no-headers'])).toMatch(/^web +1\/1 .*\ndemo +1\/1 .*\nexit 0$/);
  await expect.poll(() => podwire(['logs', 'web'])).toBe('hello\nexit 0');
  expect(await podwire(['logs', 'pod/web', '-c', 'c', '--limit-bytes=3'])).toBe('helexit 0');
  expect(await podwire(['delete', 'pod', 'web'])).toBe('pod "web" deleted\nexit 0');
  expect(await podwire(['wait', '--for=delete', 'pod/web'])).toBe('exit 0');
  expect(await podwire(['delete', 'pod', 'web', '--ignore-not-found'])).toBe('exit 0');
});

it('runs an image', { timeout: 60_000 }, async () => {
  const run = ['run', 'once', `--image=${IMAGE}`, '--restart=Never', '--env=A=b', '--command'];
  expect(await podwire([...run, '--dry-run=client', '-o', 'yaml', '--', 'true'])).toContain('restartPolicy: Never\n');
  expect(await podwire([...run, '--dry-run=client', '-o', 'yaml', '--port=80'])).toContain('- containerPort: 80\n');
  expect(await podwire([...run, '--', 'sh', '-c', 'echo $A'])).toBe('pod/once created\nexit 0');
  await expect.poll(() => podwire(['logs', '-f', 'once']), { timeout: 20_000 }).toBe('b\nexit 0');
  expect(await podwire(['delete', 'pods', '-l', 'run=once', '--now'])).toBe('pod "once" deleted\nexit 0');
});

it('waits for objects that are still to come, to change and to go', { timeout: 60_000 }, async () => {
  const wait = (goal: string, ...rest: readonly string[]): Promise<string> =>
    podwire(['wait', `--for=${goal}`, ...rest]);
  const coming = [
    wait('create', 'pods', '-l', 'late=1'),
    wait('create', 'pod/web'),
    wait('create', 'pod/nope', '--timeout=2s'),
  ];
  await podwire(['apply', '-f', '-'], manifest({ late: '1' }));
  expect(await Promise.all(coming)).toEqual([
    'pod/web condition met\nexit 0',
    'pod/web condition met\nexit 0',
    'error: timed out waiting for the condition\nexit 1',
  ]);
  expect(await wait('jsonpath={.status.phase}=Running', 'pods', '-l', 'late')).toBe('pod/web condition met\nexit 0');
  const going = wait('delete', 'pods', '-l', 'late');
  expect(await podwire(['delete', 'pod', 'web', '--wait=false'])).toBe('pod "web" deleted\nexit 0');
  // On a busy machine the pod can be gone before the wait has seen it.
  expect(await going).toMatch(/^(?:pod\/web condition met\n)?exit 0$/);
});

it('goes on with the other objects when one is refused, and fails in the end', { timeout: 60_000 }, async () => {
  const two = `${manifest({ a: '1' }).replace('"web"', '"Web"')}\n---\n${manifest({ a: '1' })}`;
  expect(await podwire(['apply', '-f', '-'], two)).toMatch(
    /^pod\/web created\nThe Pod "Web" is invalid: metadata\.name: .*\n(.*\n)+exit 1$/,
  );
  expect(await podwire(['delete', '-f', '-', '--now'], two)).toMatch(
    /^pod "web" deleted\nError from server \(NotFound\): error when deleting "STDIN": pods "Web" not found\n(.*\n)+exit 1$/,
  );
  await podwire(['apply', '-f', '-'], manifest({ a: '1' }));
  expect(await podwire(['delete', 'pod', 'nope', 'web', '--now'])).toMatch(
    /^pod "web" deleted\nError from server \(NotFound\): pods "nope" not found\n(.*\n)+exit 1$/,
  );
  expect(await podwire(['wait', '--for=delete', 'pod/web'])).toBe('exit 0');
});

it('refuses what a kind does not have, unless it is told not to look', async () => {
  const misspelt = JSON.stringify({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'a' }, secretz: [] });
  const applied = (...flags: readonly string[]): Promise<string> =>
    podwire(['apply', '-f', '-', '--dry-run=server', ...flags], misspelt);
  for (const flags of [[], ['--validate'], ['--validate=true'], ['--validate=strict']]) {
    expect(await applied(...flags)).toContain('strict decoding error: unknown field "secretz"\n');
  }
  expect(await applied('--validate=false')).toBe('serviceaccount/a created (server dry run)\nexit 0');
});

it('deletes in every namespace, and nothing in a dry run', async () => {
  const accounts = ['kube-public', 'kube-system'].map((namespace) => ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'many', namespace, labels: { many: '1' } },
  }));
  await podwire(['apply', '-f', '-'], accounts.map((one) => JSON.stringify(one)).join('\n---\n'));
  const names = 'serviceaccount/many\n'.repeat(2);
  const remove = ['delete', 'sa', '-A', '-l', 'many', '-o', 'name'];
  for (const value of ['client', 'server']) {
    expect(await podwire([...remove, `--dry-run=${value}`])).toBe(`${names}exit 0`);
  }
  expect(await podwire(['get', 'sa', '-A', '-l', 'many', '-o', 'name'])).toBe(`${names}exit 0`);
  expect(await podwire(remove)).toBe(`${names}exit 0`);
  expect(await podwire(['get', 'sa', '-A', '-l', 'many', '-o', 'name'])).toBe('exit 0');
});

it('takes the manifests of a folder in the order of their names', { timeout: 60_000 }, async () => {
  const manifests = join(folder, 'manifests');
  mkdirSync(join(manifests, 'below'), { recursive: true });
  const account = (name: string): string =>
    `{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "${name}"}}`;
  for (const [file, name] of [
    ['2.yaml', 'second'],
    ['1.json', 'first'],
    ['3.yml', 'third'],
    ['4.txt', 'never'],
    ['below/5.yaml', 'below'],
  ] as const) {
    writeFileSync(join(manifests, file), account(name));
  }
  const created = ['first', 'second', 'third'].map((name) => `serviceaccount/${name} created\n`).join('');
  expect(await podwire(['apply', '-f', manifests])).toBe(`${created}exit 0`);
  expect(await podwire(['apply', '-R', '-f', manifests])).toContain('serviceaccount/below created\n');
  expect(await podwire(['delete', '-R', '-f', manifests])).toContain('serviceaccount "below" deleted\n');
  expect(await podwire(['apply', '-f', join(manifests, 'nope.yaml')])).toContain(
    `error: the path "${join(manifests, 'nope.yaml')}" does not exist\n`,
  );
  rmSync(join(manifests, 'below'), { recursive: true });
  for (const file of ['1.json', '2.yaml', '3.yml']) rmSync(join(manifests, file));
  expect(await podwire(['apply', '-f', manifests])).toContain('holds no manifest');
});

it('advises within the namespace that was asked for', async () => {
  expect(await podwire(['logs', 'nope', '-n', 'kube-system'])).toContain('podwire get pods -n kube-system\n');
  expect(await podwire(['get', 'pod', 'nope', '-n', 'kube-system'])).toContain('podwire get pods -n kube-system\n');
  expect(await podwire(['shell', 'nope', '-n', 'kube-system'])).toContain('podwire get pods -n kube-system\n');
  expect(await podwire(['get', 'pod', 'one', '-n', 'nope'])).toContain('podwire get namespaces\n');
});

it('says what is wrong, and what to do', async () => {
  expect(await podwire(['apply', '-f', '-'], '# nothing yet\n')).toBe('error: no objects passed to apply\nexit 1');
  expect(await podwire(['apply', '-f', '-', '--server-side'])).toContain('error: --server-side is not supported: ');
  expect(await podwire(['delete', '-f', '-'], '# nothing yet\n')).toBe('No resources found\nexit 0');
  expect(await podwire(['apply', '-f', '-'], manifest({ a: 1 }))).toContain(
    'cannot unmarshal number into Go struct field',
  );
  expect(await podwire(['delete', 'pods'])).toContain(
    'names, -l SELECTOR, --field-selector, --all or -f FILE must say which objects',
  );
  expect(await podwire(['get', 'pds'])).toContain('Did you mean pods?');
  expect(await podwire(['logs', 'demo', 'nope'])).toContain('container nope is not valid for pod demo');
  expect(await podwire(['wait', '--for=sunshine', 'pod/demo'])).toContain(
    'unrecognized condition: "sunshine"; --for takes create, delete, condition=NAME[=VALUE] and jsonpath=PATH[=VALUE]',
  );
  expect(await podwire(['wait', '--for=delete', 'pods'])).toContain('--all or -f FILE must say which objects');
  expect(await podwire(['wait', '--for=condition=Sunny', 'pod/demo', '--timeout=100ms'])).toBe(
    'error: timed out waiting for the condition on pods/demo\nexit 1',
  );
  expect(await podwire(['wait', '--for=create', 'cm/x'])).toContain(
    'error: the server doesn\'t have a resource type "cm"\n',
  );
  const unnamed = manifest({ a: '1' }).replace('"name":"web"', '"generateName":"abc-"');
  for (const args of [['get'], ['describe'], ['delete'], ['wait', '--for=create']]) {
    expect(await podwire([...args, '-f', '-'], unnamed)).toContain(
      'error: from abc-: cannot use generate name with this command\n',
    );
  }
  expect(await podwire(['run', 'x'])).toContain('required flag(s) "image" not set');
});
