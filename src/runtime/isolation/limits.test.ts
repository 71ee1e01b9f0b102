import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBusybox, imageArchive, TEST_IMAGE } from '../../../test/support/image.ts';
import { ContainerState, CriClient, type CriServer, NamespaceMode, serveCri } from '../../cri/index.ts';
import { CgroupTree } from '../cgroup/index.ts';
import { createRuntime, ImageStore, type Runtime } from '../index.ts';
import { readProcess } from '../process/process-table.ts';
import { isolationObstacle } from './index.ts';
import { dismantleCgroup, PodCgroup } from './pod-cgroup.ts';

const obstacle = (await isolationObstacle()) ?? (findBusybox() === undefined ? 'no static BusyBox' : undefined);
const tree = obstacle === undefined ? CgroupTree.find() : undefined;
const MIB = 1024 * 1024;
/** Takes so many MiB and says so, then waits. */
const USE = 'head -c $(($1 * 1048576)) /dev/zero | tail -c $(($1 * 1048576)) | wc -c; exec sleep 1000';

describe.skipIf(tree?.controllers.memory === undefined)('limits of containers with walls', () => {
  let directory: string;
  let runtime: Runtime;
  let server: CriServer;
  let client: CriClient;
  let attempt = 0;
  const parent = `/podwire-limits-${process.pid}`;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'podwire-limits-'));
    const stateDir = join(directory, 'state');
    writeFileSync(join(directory, 'image.tar'), imageArchive());
    await new ImageStore(stateDir).import(join(directory, 'image.tar'));
    runtime = await createRuntime({ stateDir, isolation: true });
    server = await serveCri(runtime.handlers, { socketPath: join(directory, 'cri.sock') });
    client = new CriClient(join(directory, 'cri.sock'));
  });

  afterAll(async () => {
    await client.close();
    await server.close();
    await runtime.close();
    expect(tree?.at(parent).exists).toBe(false);
    rmSync(directory, { recursive: true });
  });

  type Config = NonNullable<Parameters<typeof client.runtime.createContainer>[0]['config']>;
  type Resources = NonNullable<NonNullable<Config['linux']>['resources']>;

  async function pod(cgroupParent = `${parent}/pod`): Promise<string> {
    attempt += 1;
    const metadata = { name: 'pod', namespace: 'ns', uid: `u${attempt}`, attempt };
    const namespaceOptions = { pid: NamespaceMode.CONTAINER, network: NamespaceMode.NODE };
    const config = { metadata, linux: { cgroupParent, securityContext: { namespaceOptions } } };
    return (await client.runtime.runPodSandbox({ config })).podSandboxId;
  }

  interface Rest {
    readonly command?: string[];
    /** Default: CONTAINER. */
    readonly pid?: NamespaceMode;
  }

  async function create(podSandboxId: string, resources: Resources, rest: Rest = {}): Promise<string> {
    attempt += 1;
    const { command = ['sleep', '1000'], pid = NamespaceMode.CONTAINER } = rest;
    const securityContext = { namespaceOptions: { pid, network: NamespaceMode.NODE } };
    const linux = { securityContext, resources };
    const config = { metadata: { name: 'c', attempt }, image: { image: TEST_IMAGE }, command, linux };
    return (await client.runtime.createContainer({ podSandboxId, config })).containerId;
  }

  async function start(podSandboxId: string, resources: Resources, rest: Rest = {}): Promise<string> {
    const containerId = await create(podSandboxId, resources, rest);
    await client.runtime.startContainer({ containerId });
    return containerId;
  }

  const run = async (containerId: string, ...cmd: string[]): Promise<string> => {
    const { stdout, stderr, exitCode } = await client.runtime.execSync({ containerId, cmd, timeout: 20n });
    return Buffer.concat([stdout, stderr]).toString().trim() + (exitCode === 0 ? '' : ` (exit ${exitCode})`);
  };

  const statusOf = async (containerId: string) => (await client.runtime.containerStatus({ containerId })).status;

  async function ended(containerId: string) {
    for (;;) {
      const status = await statusOf(containerId);
      if (status?.state === ContainerState.CONTAINER_EXITED) return status;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  it('hold its processes in a cgroup below the one of the pod, those of an exec too', async () => {
    const id = await start(await pod(), { memoryLimitInBytes: BigInt(64 * MIB), cpuShares: 256n, oomScoreAdj: 500n });
    const group = tree?.at(`${parent}/pod/${id}`);
    expect(group?.members().length).toBe(1);
    const inside = await run(id, 'sh', '-c', 'cat /proc/self/oom_score_adj; cat /proc/self/cgroup');
    expect(inside).toMatch(new RegExp(`^500\n`));
    expect(inside).toContain(`${parent}/pod/${id}`);
    const elsewhere = inside.split('\n').filter((line) => !line.endsWith(id));
    // Hierarchies that have nothing to limit are left as they are.
    expect(elsewhere.join()).not.toMatch(/memory|cpu|pids|^0:/);
    expect(await run(id, 'cat', '/proc/1/oom_score_adj')).toBe('500');
    const { resources } = (await statusOf(id)) ?? {};
    expect(resources?.linux?.memoryLimitInBytes).toBe(BigInt(64 * MIB));
    await client.runtime.stopContainer({ containerId: id, timeout: 0n });
    expect(group?.exists).toBe(false);
  });

  it('end a container that wants more memory, with code 137 and reason OOMKilled', async () => {
    const limit = { memoryLimitInBytes: BigInt(16 * MIB), memorySwapLimitInBytes: BigInt(16 * MIB) };
    const id = await start(await pod(), limit, { command: ['sh', '-c', 'exec dd if=/dev/zero of=/dev/null bs=40M'] });
    expect(await ended(id)).toMatchObject({ exitCode: 137, reason: 'OOMKilled' });
    // An exec that is killed for it ends alone.
    const other = await start(await pod(), limit);
    expect(await run(other, 'dd', 'if=/dev/zero', 'of=/dev/null', 'bs=40M', 'count=1')).toContain('(exit 137)');
    expect((await statusOf(other))?.state).toBe(ContainerState.CONTAINER_RUNNING);
    await client.runtime.stopContainer({ containerId: other, timeout: 0n });
  });

  it('change while it runs and before, or not at all', async () => {
    const id = await create(await pod(), { memoryLimitInBytes: BigInt(64 * MIB) });
    const linux = { memoryLimitInBytes: BigInt(96 * MIB) };
    await client.runtime.updateContainerResources({ containerId: id, linux });
    await client.runtime.startContainer({ containerId: id });
    const group = tree?.at(`${parent}/pod/${id}`);
    const name = tree?.controllers.memory === 1 ? 'memory.limit_in_bytes' : 'memory.max';
    const limit = (): string => readFileSync(group?.file('memory', name) ?? '', 'utf8').trim();
    expect(limit()).toBe(String(96 * MIB));
    await client.runtime.updateContainerResources({ containerId: id, linux: { memoryLimitInBytes: BigInt(32 * MIB) } });
    expect(limit()).toBe(String(32 * MIB));
    await client.runtime.updateContainerResources({ containerId: id, linux: { oomScoreAdj: 700n } });
    expect(await run(id, 'cat', '/proc/1/oom_score_adj', '/proc/self/oom_score_adj')).toBe('700\n700');
    const bad = client.runtime.updateContainerResources({
      containerId: id,
      linux: { memoryLimitInBytes: BigInt(48 * MIB), cpusetCpus: '4000' },
    });
    await expect(bad).rejects.toThrow(/cannot set cpuset.cpus of cgroup .* to 4000/);
    expect(limit()).toBe(String(32 * MIB));
    expect((await statusOf(id))?.resources?.linux).toMatchObject({
      memoryLimitInBytes: BigInt(32 * MIB),
      cpusetCpus: '',
    });
    await client.runtime.stopContainer({ containerId: id, timeout: 0n });
    const late = client.runtime.updateContainerResources({ containerId: id, linux });
    await expect(late).rejects.toThrow('is in CONTAINER_EXITED state');
  });

  it('are refused when nobody here can hold them', async () => {
    const unified = create(await pod(), { unified: { 'nothing.max': '1' } });
    await expect(unified).rejects.toThrow('"nothing.max" is no limit of a cgroup');
    const out = pod('/../elsewhere');
    await expect(out).rejects.toThrow('"/../elsewhere" is no path of a cgroup');
    const badStart = await create(await pod(), { cpusetCpus: '4000' });
    await expect(client.runtime.startContainer({ containerId: badStart })).rejects.toThrow('cannot set cpuset.cpus');
    expect(await statusOf(badStart)).toMatchObject({ exitCode: 128, reason: 'StartError' });
    expect(tree?.at(`${parent}/pod/${badStart}`).exists).toBe(false);
  });

  it('count what it uses', async () => {
    const podSandboxId = await pod();
    const id = await start(
      podSandboxId,
      { memoryLimitInBytes: BigInt(200 * MIB) },
      {
        command: ['sh', '-c', `head -c ${3 * MIB} /dev/zero >/file; ${USE}`, 'sh', '30'],
      },
    );
    await run(id, 'sh', '-c', 'until [ "$(cat /proc/1/comm)" = sleep ]; do :; done');
    const { stats } = await client.runtime.containerStats({ containerId: id });
    expect(stats?.cpu?.usageCoreNanoSeconds?.value).toBeGreaterThan(1_000_000n);
    expect(stats?.memory?.workingSetBytes?.value).toBeGreaterThan(0n);
    expect(stats?.memory?.availableBytes?.value).toBeLessThan(BigInt(200 * MIB));
    expect(Number(stats?.writableLayer?.usedBytes?.value)).toBeGreaterThanOrEqual(3 * MIB);
    expect(Number(stats?.writableLayer?.inodesUsed?.value)).toBeGreaterThan(0);
    const { stats: whole } = await client.runtime.podSandboxStats({ podSandboxId });
    expect(whole?.linux?.process?.processCount?.value).toBe(1n);
    expect(whole?.linux?.cpu?.usageCoreNanoSeconds?.value).toBeGreaterThan(1_000_000n);
  });

  it('end what got away from a container that shares processes', async () => {
    const podSandboxId = await pod();
    const command = ['sh', '-c', 'setsid env -i sleep 1234 & exec sleep 1000'];
    const id = await start(podSandboxId, {}, { command, pid: NamespaceMode.NODE });
    const group = tree?.at(`${parent}/pod/${id}`);
    await run(id, 'sh', '-c', 'until ps | grep -q "[s]leep 1234"; do :; done');
    const members = group?.members() ?? [];
    expect(members.length).toBe(2);
    await client.runtime.stopContainer({ containerId: id, timeout: 0n });
    expect(members.filter((pid) => readProcess(pid)?.isZombie === false)).toEqual([]);
  });

  it('leave the cgroups of others, and none of their own', async () => {
    const mounts = tree?.hierarchies.map(({ mount }) => join(mount, `${parent}-others`)) ?? [];
    for (const path of mounts) mkdirSync(path);
    const podSandboxId = await pod(`${parent}-others/a/b`);
    await start(podSandboxId, {});
    expect(tree?.at(`${parent}-others/a/b`).exists).toBe(true);
    await client.runtime.removePodSandbox({ podSandboxId });
    expect(tree?.at(`${parent}-others/a`).exists).toBe(false);
    for (const path of mounts) rmdirSync(path);
    const plain = await pod('');
    await start(plain, {});
    expect(tree?.at(`/podwire/${plain}`).exists).toBe(true);
    await client.runtime.removePodSandbox({ podSandboxId: plain });
    expect(tree?.at(`/podwire/${plain}`).exists).toBe(false);
  });

  it('are taken down by the record of a runtime that was killed', async () => {
    if (tree === undefined) return;
    const record = join(directory, 'cgroup.json');
    const path = `${parent}-killed/pod`;
    new PodCgroup(tree, { id: 'p', parent: path, record }).make('c');
    const next = new CgroupTree(tree.hierarchies);
    expect(next.at(`${path}/c`).exists).toBe(true);
    await dismantleCgroup(next, record);
    expect(next.at(`${parent}-killed`).exists).toBe(false);
  });
});
