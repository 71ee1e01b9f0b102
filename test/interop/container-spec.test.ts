import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { expect, it } from 'vitest';
import { describeWalledClusters, patience, shell } from './walled-cluster.ts';

// What a pod's spec says of a container's resources, rights and mounts → our apiserver → our kubelet → a runtime with walls

const MIB = 2 ** 20;
/** Takes 200 MiB of memory at once. */
const GREEDY = 'dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null';

describeWalledClusters('what a spec says of a container', [], (cluster) => {
  interface Run {
    readonly exitCode: string;
    readonly reason: string;
    readonly qosClass: string;
    readonly said: string;
  }

  /** A pod with one container that runs `script` once. */
  function create(name: string, script: string, fields: object, ofPod: object = {}): Promise<void> {
    const once = { hostNetwork: true, restartPolicy: 'Never', terminationGracePeriodSeconds: 0 };
    return cluster.create(name, { ...once, containers: [shell(script, fields)], ...ofPod });
  }

  async function run(name: string, script: string, fields: object, ofPod: object = {}): Promise<Run> {
    await create(name, script, fields, ofPod);
    await cluster.untilOver(name);
    const ended = 'containerStatuses[0].state.terminated';
    return {
      exitCode: await cluster.statusOf(name, `${ended}.exitCode`),
      reason: await cluster.statusOf(name, `${ended}.reason`),
      qosClass: await cluster.statusOf(name, 'qosClass'),
      said: await cluster.kubectl.must('logs', name),
    };
  }

  const score = 'cat /proc/self/oom_score_adj';

  it('a container that takes more memory than its limit is killed for it', { timeout: 120_000 }, async () => {
    const greedy = await run('greedy', `exec ${GREEDY}`, { resources: { limits: { memory: '32Mi' } } });
    expect(greedy).toMatchObject({ exitCode: '137', reason: 'OOMKilled', qosClass: 'Burstable' });
    const modest = await run('modest', GREEDY, { resources: { limits: { memory: '320Mi' } } });
    expect(modest).toMatchObject({ exitCode: '0', reason: 'Completed' });
  });

  it('one that asks for nothing is the first to go when the machine is short', { timeout: 60_000 }, async () => {
    expect(await run('nothing', score, {})).toMatchObject({ qosClass: 'BestEffort', said: '1000\n' });
  });

  it('and the more it asks for, the later', { timeout: 60_000 }, async () => {
    const bytes = Math.floor(totalmem() / 4 / MIB) * MIB;
    const burstable = await run('asking', score, { resources: { requests: { memory: String(bytes) } } });
    const expected = 1000 - Math.floor((1000 * bytes) / totalmem());
    expect(burstable).toMatchObject({ qosClass: 'Burstable', said: `${expected}\n` });
  });

  it('a pod that fixes all that it gets has a class of its own', { timeout: 60_000 }, async () => {
    const limits = { cpu: '200m', memory: '64Mi' };
    const fixed = await run('fixed', 'true', { resources: { limits, requests: { cpu: '0.2', memory: '65536Ki' } } });
    expect(fixed).toMatchObject({ exitCode: '0', qosClass: 'Guaranteed' });
  });

  it('one that is not to be root is not started as root', { timeout: 90_000 }, async () => {
    const securityContext = { runAsNonRoot: true };
    const user = await run('user', 'id -u', { securityContext }, { securityContext: { runAsUser: 1234 } });
    expect(user).toMatchObject({ exitCode: '0', said: '1234\n' });
    await create('root', 'id -u', { securityContext });
    const waiting = 'containerStatuses[0].state.waiting';
    await expect.poll(() => cluster.statusOf('root', `${waiting}.reason`), patience).toBe('CreateContainerConfigError');
    expect(await cluster.statusOf('root', `${waiting}.message`)).toMatch(
      /^container has runAsNonRoot and image will run as root \(pod: "root_default\([-0-9a-f]+\)", container: main\)$/,
    );
  });

  it('a profile that the node does not have starts nothing', { timeout: 90_000 }, async () => {
    const seccompProfile = { type: 'Localhost', localhostProfile: 'podwire/none.json' };
    await create('unknown', 'true', { securityContext: { seccompProfile } });
    const waiting = 'containerStatuses[0].state.waiting';
    await expect.poll(() => cluster.statusOf('unknown', `${waiting}.message`), patience).toMatch(/seccomp/);
    const any = await run('default', 'true', { securityContext: { seccompProfile: { type: 'RuntimeDefault' } } });
    expect(any).toMatchObject({ exitCode: '0' });
  });

  it('a setting of the kernel is the pod’s own, and no other may be set', { timeout: 90_000 }, async () => {
    const setting = (name: string, value: string): object => ({ securityContext: { sysctls: [{ name, value }] } });
    const file = '/proc/sys/kernel/shm_rmid_forced';
    const before = readFileSync(file, 'utf8').trim();
    const value = before === '1' ? '0' : '1';
    const own = await run('own', `cat ${file}`, {}, setting('kernel.shm_rmid_forced', value));
    expect(own).toMatchObject({ exitCode: '0', said: `${value}\n` });
    expect(readFileSync(file, 'utf8').trim()).toBe(before);
    await create('other', 'true', {}, setting('kernel.msgmax', '9999'));
    const events = ['get', 'events', '--field-selector', 'involvedObject.name=other'];
    await expect
      .poll(() => cluster.kubectl.must(...events), patience)
      .toContain('forbidden sysctl: "kernel.msgmax" not allowlisted');
  });

  it('a mount is of the folder that its variables name', { timeout: 90_000 }, async () => {
    const mount = { name: 'data', mountPath: '/data' };
    const volumeMounts = [
      { ...mount, subPathExpr: 'of-$(WHO)' },
      { ...mount, mountPath: '/all' },
    ];
    const env = [{ name: 'WHO', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }];
    const volumes = [{ name: 'data', emptyDir: {} }];
    const script = 'echo written >/data/file; cat /all/of-mounted/file';
    const mounted = await run('mounted', script, { volumeMounts, env }, { volumes });
    expect(mounted).toMatchObject({ exitCode: '0', said: 'written\n' });
    await create('nameless', 'true', { volumeMounts }, { volumes });
    await expect
      .poll(() => cluster.statusOf('nameless', 'containerStatuses[0].state.waiting.message'), patience)
      .toBe('missing value for WHO');
  });

  it.each([
    ['anybody', 'anybody', { runAsUser: 1234, runAsGroup: 1234 }, '777 0\n1234\n'],
    [
      'its pod’s group, which has what is written',
      'group',
      { runAsUser: 1234, runAsGroup: 1234, fsGroup: 2000 },
      '2777 2000\n2000\n',
    ],
  ])('an emptyDir is for %s', { timeout: 90_000 }, async (_, name, securityContext, said) => {
    const script = 'stat -c "%a %g" /data && echo x >/data/x && stat -c %g /data/x';
    const volumeMounts = [{ name: 'data', mountPath: '/data' }];
    const volumes = [{ name: 'data', emptyDir: {} }];
    expect(await run(name, script, { volumeMounts }, { securityContext, volumes })).toMatchObject({ said });
  });
});
