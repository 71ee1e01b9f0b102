import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Cgroup } from './cgroup.ts';
import { CgroupTree } from './cgroup-tree.ts';
import type { Hierarchy } from './hierarchy.ts';
import { type Limits, limitWrites } from './limit-writes.ts';

const tree = process.getuid?.() === 0 ? CgroupTree.find() : undefined;
const unset: Limits = {
  cpuPeriod: 0n,
  cpuQuota: 0n,
  cpuShares: 0n,
  memoryLimitInBytes: 0n,
  memorySwapLimitInBytes: 0n,
  cpusetCpus: '',
  cpusetMems: '',
  hugepageLimits: [],
  unified: {},
};
const MIB = 1024n * 1024n;

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean();
});

describe.skipIf(tree === undefined)('a cgroup of this machine', () => {
  function groupIn(hierarchies: readonly Hierarchy[] = tree?.hierarchies ?? []): Cgroup {
    const group = new Cgroup(`/podwire-test-${process.pid}-${Math.random().toString(36).slice(2)}/c`, hierarchies);
    group.make();
    cleanups.push(async () => {
      await group.kill();
      await group.remove();
      await group.parent.remove();
      expect(group.parent.exists).toBe(false);
    });
    return group;
  }

  /** A shell that joins by itself, as a container's exec does, and then is `argv`. */
  function member(group: Cgroup, ...argv: string[]): ChildProcess {
    const script = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo 0 >"$1"; shift; n=$((n - 1)); done; exec "$@"';
    const files = group.memberFiles;
    return spawn('sh', ['-c', script, 'podwire', String(files.length), ...files, ...argv], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  }

  const limited = (group: Cgroup, limits: Partial<Limits>): void =>
    group.set(limitWrites({ ...unset, ...limits }, (controller) => group.versionOf(controller)));

  /** With each hierarchy that can tell members: all together, then those of one version alone. */
  const versions = [0, 1, 2].filter(
    (version) => version === 0 || tree?.hierarchies.some((hierarchy) => hierarchy.version === version),
  );

  it.each(versions)('kills whatever is in it, also what left its session and forks (version %s)', async (version) => {
    const group = groupIn(tree?.hierarchies.filter((hierarchy) => version === 0 || hierarchy.version === version));
    const script = 'setsid -f env -i sleep 1000; (while :; do sleep 1000 & sleep 0.01; done) & echo there; wait';
    const child = member(group, 'sh', '-c', script);
    await once(child.stdout!, 'data');
    expect(group.members().length).toBeGreaterThan(2);
    const exited = once(child, 'exit');
    await group.kill();
    expect(group.members()).toEqual([]);
    expect(await exited).toEqual([null, 'SIGKILL']);
  });

  it('takes in a process that runs already', async () => {
    const group = groupIn();
    const child = spawn('sleep', ['1000']);
    const exited = once(child, 'exit');
    group.add(child.pid ?? 0);
    expect(group.members()).toEqual([child.pid]);
    await group.kill();
    await exited;
  });

  it.skipIf(tree?.controllers.memory === undefined)(
    'ends who uses more memory than is allowed, and counts it',
    async () => {
      const group = groupIn();
      limited(group, { memoryLimitInBytes: 20n * MIB, memorySwapLimitInBytes: 20n * MIB });
      expect(group.outOfMemoryKills()).toBe(0);
      const child = member(group, 'dd', 'if=/dev/zero', 'of=/dev/null', 'bs=64M', 'count=1');
      expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
      expect(group.outOfMemoryKills()).toBeGreaterThan(0);
    },
  );

  it('counts processor time, memory and processes', async () => {
    const group = groupIn();
    const script = 'i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; echo done; exec sleep 1000';
    const child = member(group, 'sh', '-c', script);
    await once(child.stdout!, 'data');
    const { cpuNs, memory, processes } = group.usage();
    if (group.versionOf('cpuacct') !== undefined) expect(Number(cpuNs)).toBeGreaterThan(1_000_000);
    if (group.versionOf('pids') !== undefined) expect(processes).toBe(1n);
    if (group.versionOf('memory') !== undefined) {
      expect(memory?.workingSetBytes).toBeGreaterThan(0n);
      expect(memory?.workingSetBytes).toBeLessThanOrEqual(memory?.usageBytes ?? 0n);
      expect(memory?.availableBytes).toBeUndefined();
      limited(group, { memoryLimitInBytes: 50n * MIB });
      expect(Number(group.usage().memory?.availableBytes)).toBeGreaterThan(Number(40n * MIB));
    }
  });

  it.skipIf(tree?.controllers.memory !== 1)('sets and raises limits, all or none (version 1)', () => {
    const group = groupIn();
    const read = (controller: 'memory' | 'cpu' | 'cpuset', name: string): string =>
      readFileSync(group.file(controller, name) ?? '', 'utf8').trim();
    limited(group, { memoryLimitInBytes: 64n * MIB, memorySwapLimitInBytes: 64n * MIB, cpuQuota: 20_000n });
    limited(group, { memoryLimitInBytes: 128n * MIB, memorySwapLimitInBytes: 256n * MIB, cpuShares: 512n });
    limited(group, { memoryLimitInBytes: 32n * MIB, cpuPeriod: 50_000n, cpuQuota: 25_000n, cpusetCpus: '0' });
    expect(read('memory', 'memory.limit_in_bytes')).toBe(String(32n * MIB));
    expect(read('cpu', 'cpu.shares')).toBe('512');
    expect(read('cpu', 'cpu.cfs_quota_us')).toBe('25000');
    expect(read('cpu', 'cpu.cfs_period_us')).toBe('50000');
    expect(read('cpuset', 'cpuset.cpus')).toBe('0');
    expect(() => limited(group, { memoryLimitInBytes: 16n * MIB, cpusetCpus: '9999' })).toThrow(
      /cannot set cpuset.cpus of cgroup \/podwire-test-\S+ to 9999: /,
    );
    expect(read('memory', 'memory.limit_in_bytes')).toBe(String(32n * MIB));
    limited(group, { memoryLimitInBytes: -1n, memorySwapLimitInBytes: -1n, cpuQuota: -1n });
    expect(BigInt(read('memory', 'memory.limit_in_bytes'))).toBeGreaterThan(1n << 60n);
    expect(read('cpu', 'cpu.cfs_quota_us')).toBe('-1');
  });
});

describe('the files of version 2', () => {
  it('gets every limit (in a plain folder: not every machine has these controllers)', () => {
    const mount = mkdtempSync(join(tmpdir(), 'podwire-cgroup2-'));
    cleanups.push(() => rmSync(mount, { recursive: true }));
    const controllers = ['memory', 'cpu', 'cpuset', 'pids', 'hugetlb'] as const;
    const folder = join(mount, 'pod/c');
    mkdirSync(folder, { recursive: true });
    const files = ['memory.max', 'cpu.max', 'cpu.weight', 'cpuset.cpus', 'cpuset.mems', 'hugetlb.2MB.max', 'pids.max'];
    for (const name of files) writeFileSync(join(folder, name), '');
    const group = new Cgroup('/pod/c', [{ version: 2, mount, controllers }]);
    const hugepageLimits = [{ $typeName: 'runtime.v1.HugepageLimit', pageSize: '2MB', limit: 4194304n }] as const;
    const limits: Limits = {
      cpuPeriod: 50_000n,
      cpuQuota: 25_000n,
      cpuShares: 1024n,
      memoryLimitInBytes: 64n * MIB,
      memorySwapLimitInBytes: 96n * MIB,
      cpusetCpus: '0-1',
      cpusetMems: '0',
      hugepageLimits: [...hugepageLimits],
      unified: { 'pids.max': '7' },
    };
    group.set(limitWrites(limits, () => 2));
    expect(Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), 'utf8')]))).toEqual({
      'memory.max': String(64n * MIB),
      'cpu.max': '25000 50000',
      'cpu.weight': '39',
      'cpuset.cpus': '0-1',
      'cpuset.mems': '0',
      'hugetlb.2MB.max': '4194304',
      'pids.max': '7',
    });
    // Where swap is not counted there is no file for it, and none is made.
    expect(existsSync(join(folder, 'memory.swap.max'))).toBe(false);
    writeFileSync(join(folder, 'memory.swap.max'), '');
    group.set(limitWrites({ ...limits, memorySwapLimitInBytes: -1n, memoryLimitInBytes: -1n }, () => 2));
    expect(readFileSync(join(folder, 'memory.swap.max'), 'utf8')).toBe('max');
    expect(readFileSync(join(folder, 'memory.max'), 'utf8')).toMatch(/^max/);
    writeFileSync(join(folder, 'memory.current'), `${10n * MIB}\n`);
    writeFileSync(join(folder, 'memory.max'), `${64n * MIB}\n`);
    writeFileSync(join(folder, 'memory.stat'), `anon 5000\ninactive_file ${2n * MIB}\npgfault 3\npgmajfault 1\n`);
    writeFileSync(join(folder, 'memory.events'), 'low 0\noom 3\noom_kill 2\noom_group_kill 0\n');
    writeFileSync(join(folder, 'cpu.stat'), 'usage_usec 1234\nuser_usec 1000\n');
    writeFileSync(join(folder, 'pids.current'), '3\n');
    expect(group.usage()).toEqual({
      cpuNs: 1_234_000n,
      memory: {
        usageBytes: 10n * MIB,
        workingSetBytes: 8n * MIB,
        availableBytes: 56n * MIB,
        rssBytes: 5000n,
        pageFaults: 3n,
        majorPageFaults: 1n,
      },
      processes: 3n,
    });
    expect(group.outOfMemoryKills()).toBe(2);
  });
});

describe('a memory limit alone', () => {
  it('is one of memory and swap together, as with containerd', () => {
    const limits = { ...unset, memoryLimitInBytes: MIB };
    expect(limitWrites(limits, () => 2).map(({ name, value }) => [name, value])).toEqual([
      ['memory.swap.max', '0'],
      ['memory.max', String(MIB)],
    ]);
    expect(limitWrites(limits, () => 1).map(({ name, value }) => [name, value])).toEqual([
      ['memory.memsw.limit_in_bytes', '-1'],
      ['memory.limit_in_bytes', String(MIB)],
      ['memory.memsw.limit_in_bytes', String(MIB)],
    ]);
  });
});

describe('limits that cannot be held', () => {
  const nowhere = (): undefined => undefined;

  it.each([
    [{ memoryLimitInBytes: MIB }, 'cannot set memory limit: no cgroup of controller memory can be written here'],
    [{ cpuQuota: 1000n }, 'cannot set cpu quota: no cgroup of controller cpu can be written here'],
    [{ cpusetCpus: '0' }, 'cannot set cpuset: no cgroup of controller cpuset can be written here'],
    [{ unified: { 'pids.max': '1' } }, 'pids.max is a file of cgroup version 2'],
    [{ unified: { '../x': '1' } }, '"../x" is no limit of a cgroup'],
  ])('are refused: %o', (limits: Partial<Limits>, message) => {
    expect(() => limitWrites({ ...unset, ...limits }, nowhere)).toThrow(message);
  });

  it('weights alone are nothing that anybody was promised, and a period alone limits nobody', () => {
    expect(limitWrites({ ...unset, cpuShares: 2n }, nowhere)).toEqual([]);
    expect(limitWrites({ ...unset, cpuShares: 2n, cpuPeriod: 100_000n, cpuQuota: -1n }, nowhere)).toEqual([]);
  });

  it('has no path that leads out of its tree', () => {
    const none = new CgroupTree([]);
    for (const path of ['', '/', '/a/../..', 'a\0']) expect(() => none.at(path)).toThrow('is no path of a cgroup');
    expect(none.at('kubepods/a/').path).toBe('/kubepods/a');
  });
});
