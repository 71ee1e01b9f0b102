import { beforeAll, expect, it } from 'vitest';
import { TEST_IMAGE } from '../support/image.ts';
import { Terminal } from '../support/terminal.ts';
import { patience, type WalledCluster } from './walled-cluster.ts';

const PROMPT = '/ #';
const START_MS = 60_000;

/** What `kubectl debug` must do to a pod of any kubelet. Needs tmux and kubectl 1.32 or newer. */
export function debugInterop(target: WalledCluster): void {
  const run = async (args: readonly string[], stdin: object = {}): Promise<string> => {
    const { stdout, stderr, exitCode } = await target.kubectl.run(args, {
      stdin: Buffer.from(JSON.stringify(stdin)),
    });
    return `${stdout.toString()}${stderr.toString()}exit ${exitCode}`;
  };
  const field = (pod: string, path: string): Promise<string> =>
    target.kubectl.must('get', 'pod', pod, '-o', `jsonpath={${path}}`);
  const statusOf = (pod: string, container: string, path: string): Promise<string> =>
    field(pod, `.status.ephemeralContainerStatuses[?(@.name=="${container}")]${path}`);
  const debug = (pod: string, container: string, ...more: string[]): string[] => [
    'debug',
    pod,
    '-c',
    container,
    `--image=${TEST_IMAGE}`,
    '--image-pull-policy=IfNotPresent',
    '--profile=general',
    ...more,
  ];
  const terminal = (...args: string[]): Promise<Terminal> => {
    const { argv, env } = target.kubectl.commandLine(...args);
    return Terminal.start(argv, { env, columns: 200 });
  };
  const create = async (name: string, spec: object = {}): Promise<void> => {
    const container = { name: 'main', image: TEST_IMAGE, imagePullPolicy: 'IfNotPresent' };
    const containers = [{ ...container, command: ['sh', '-c', 'exec sleep 123456'] }];
    const pod = { hostNetwork: true, terminationGracePeriodSeconds: 1, containers, ...spec };
    const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { nodeName: target.nodeName, ...pod } };
    expect(await run(['create', '-f', '-'], object)).toBe(`pod/${name} created\nexit 0`);
    await target.kubectl.must('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s');
  };

  beforeAll(() => create('web'), 120_000);

  it('opens a terminal beside a container and shows its processes', { timeout: 120_000 }, async () => {
    await using typed = await terminal(...debug('web', 'shell', '-it', '--target=main'));
    // What the shell said before kubectl was attached is not said again.
    await typed.waitFor(/If you don't see a command prompt, try pressing enter\.|\/ #/, START_MS);
    await typed.type('\n');
    await typed.waitFor(PROMPT, START_MS);
    await typed.type('echo "it is $(tr "\\0" " " </proc/1/cmdline)"\n');
    await typed.waitFor('\nit is sleep 123456');
    await typed.type('exit 5\n');
    await typed.exitCode(START_MS);
    await expect.poll(() => statusOf('web', 'shell', '.state.terminated.exitCode'), patience).toBe('5');
    expect(await field('web', '.spec.ephemeralContainers[0].targetContainerName')).toBe('main');
  });

  it('sees processes of its own without a target', { timeout: 120_000 }, async () => {
    const script = 'tr "\\0" " " </proc/1/cmdline';
    await run(debug('web', 'alone', '--', 'sh', '-c', `${script}; exit 3`));
    await expect.poll(() => statusOf('web', 'alone', '.state.terminated.exitCode'), patience).toBe('3');
    expect(await run(['logs', 'web', '-c', 'alone'])).toContain('sh -c');
  });

  it('finds them by name for exec, logs and attach', { timeout: 120_000 }, async () => {
    const script = 'echo begun; read line; echo "got $line"; exec sleep 1000';
    await run(debug('web', 'named', '--stdin', '--attach=false', '--', 'sh', '-c', script));
    await expect.poll(() => run(['logs', 'web', '-c', 'named']), patience).toBe('begun\nexit 0');
    expect(await run(['exec', 'web', '-c', 'named', '--', 'sh', '-c', 'echo in; exit 6'])).toBe(
      'in\ncommand terminated with exit code 6\nexit 6',
    );
    await using attached = await terminal('attach', 'web', '-c', 'named', '-i');
    await attached.waitFor("If you don't see a command prompt", START_MS);
    await attached.type('typed\n');
    await attached.waitFor('got typed', START_MS);
    await attached.press('C-c');
    expect(await run(['logs', 'web', '-c', 'named'])).toBe('begun\ngot typed\nexit 0');
    expect(await statusOf('web', 'named', '.state.running.startedAt')).not.toBe('');
  });

  it('counts for nothing, and is neither changed nor made twice', { timeout: 60_000 }, async () => {
    expect(await target.kubectl.must('get', 'pod', 'web', '--no-headers')).toMatch(/^web +1\/1 +Running +0 +\S+\n$/);
    expect(await statusOf('web', 'named', '.ready')).toBe('false');
    expect(await run(debug('web', 'named', '--', 'true'))).toContain(
      'existing ephemeral containers "named" may not be changed',
    );
    expect(await run(debug('web', 'main', '--', 'true'))).toContain(
      'spec.ephemeralContainers[3].name: Duplicate value: "main"',
    );
    await expect
      .poll(() => target.kubectl.must('get', 'events', '--field-selector', 'involvedObject.name=web'), patience)
      .toMatch(/Started +pod\/web +Started container named/);
    const paths = await target.kubectl.must('get', 'events', '-o', 'jsonpath={.items[*].involvedObject.fieldPath}');
    expect(paths).toContain('spec.ephemeralContainers{named}');
  });

  it('says of an image that cannot be had what it says of all, and goes on', { timeout: 120_000 }, async () => {
    await run(['debug', 'web', '-c', 'lost', '--image=registry.invalid/none:1', '--profile=general']);
    await expect
      .poll(() => statusOf('web', 'lost', '.state.waiting.reason'), patience)
      .toMatch(/^(ErrImagePull|ImagePullBackOff)$/);
    expect(await run(['logs', 'web', '-c', 'lost'])).toMatch(
      /^Error from server \(BadRequest\): container "lost" in pod "web" is waiting to start: (image can't be pulled|trying and failing to pull image)\nexit 1$/,
    );
    await run(debug('web', 'after', '--', 'sh', '-c', 'exit 0'));
    await expect.poll(() => statusOf('web', 'after', '.state.terminated.reason'), patience).toBe('Completed');
    expect(await field('web', '.status.phase')).toBe('Running');
  });

  it('runs a copy of a pod with one container more', { timeout: 120_000 }, async () => {
    const script = 'echo copied; exec sleep 1000';
    const flags = ['--copy-to=copy', '--same-node', '--share-processes=false'];
    expect(await run(debug('web', 'added', ...flags, '--', 'sh', '-c', script))).toBe('exit 0');
    await target.kubectl.must('wait', '--for=condition=Ready', 'pod/copy', '--timeout=60s');
    expect(await field('copy', '.spec.containers[*].name')).toBe('main added');
    expect(await field('copy', '.spec.nodeName')).toBe(target.nodeName);
    expect(await run(['logs', 'copy', '-c', 'added'])).toBe('copied\nexit 0');
    expect(await run(['delete', 'pod', 'copy', '--timeout=40s'])).toBe('pod "copy" deleted\nexit 0');
  });

  it('ends with its pod', { timeout: 60_000 }, async () => {
    expect(await run(['delete', 'pod', 'web', '--timeout=40s'])).toBe('pod "web" deleted\nexit 0');
  });

  it('opens the file system and the processes of a node', { timeout: 120_000 }, async () => {
    const script = 'ls -1d /host/proc /host/etc; cmp /proc/1/cmdline /host/proc/1/cmdline && echo same; exit 4';
    const node = `node/${target.nodeName}`;
    const made = await run(debug(node, 'debugger', '-it', '--attach=false', '--', 'sh', '-c', script));
    const [, pod = ''] =
      /^Creating debugging pod (\S+) with container debugger on node \S+\.\nexit 0$/.exec(made) ?? [];
    expect(pod, made).toContain(`node-debugger-${target.nodeName}-`);
    await expect.poll(() => field(pod, '.status.phase'), patience).toBe('Failed');
    expect(await field(pod, '.status.containerStatuses[0].state.terminated')).toContain('"exitCode":4');
    expect(await run(['logs', pod])).toMatch(/^\/host\/etc\r?\n\/host\/proc\r?\nsame\r?\nexit 0$/);
  });
}
