import { once } from 'node:events';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { sharedFifoPool } from './fifo-pool.ts';
import { ProcessLook, pidsSince } from './process-look.ts';
import { listPids, readEnvironment, readProcess } from './process-table.ts';
import { killMarked } from './process-tree.ts';
import { startProcess } from './start-process.ts';

const RUNS = Number(process.env['PODWIRE_TREE_RUNS'] ?? 20);
const PATH = process.env['PATH'] ?? '';

const alive = (marker: string): number[] =>
  listPids().filter((pid) => readEnvironment(pid).includes(`=${marker}`) && readProcess(pid)?.isZombie === false);

const start = (script: string, marker: string) =>
  startProcess({
    argv: ['sh', '-c', script],
    env: { PATH },
    cwd: '/tmp',
    stdin: false,
    stdout: true,
    stderr: false,
    marker,
  });

// A test worker is killed, so the pool does not see its end.
afterAll(() => sharedFifoPool().close());

describe('a process tree', () => {
  it('finds a daemon at the very moment its session ends, though it is just being loaded', async () => {
    for (let i = 0; i < RUNS; i += 1) {
      const marker = `tree-${process.pid}-${i}`;
      const running = await start('(setsid env sleep 1000 >/dev/null 2>&1 &)', marker);
      await running.exited;
      await running.hangUp(2000);
      expect(alive(marker)).toEqual([]);
      await running[Symbol.asyncDispose]();
    }
  });

  it('kills faster than a chain of processes can fork and leave', async () => {
    const marker = `chain-${process.pid}`;
    const link =
      'trap "" HUP; echo up; i=0; while [ $i -lt 500 ]; do setsid sleep 0.01 & i=$((i+1)); done; exec sleep 1000';
    const running = await start(link, marker);
    await once(running.stdout!, 'data');
    await running.kill();
    expect(alive(marker)).toEqual([]);
    await running[Symbol.asyncDispose]();
  });

  it('takes everything below a marker, and nothing whose marker only begins alike', async () => {
    const marker = `kin-${process.pid}`;
    const all = await Promise.all(
      [marker, `${marker}/1`, `${marker}/1/2`, `${marker}0`].map((own) => start('exec sleep 1000', own)),
    );
    await killMarked(marker);
    const codes = await Promise.all(all.slice(0, 3).map((running) => running.exited));
    expect(codes.map(({ signal }) => signal)).toEqual(['SIGKILL', 'SIGKILL', 'SIGKILL']);
    expect(await all[3]!.members()).toEqual([all[3]!.pid]);
    await Promise.all(all.map((running) => running[Symbol.asyncDispose]()));
  });
});

describe('pids since', () => {
  const pids = [1, 50, 100, 150, 900, 950];
  it.each([
    ['all, for one who asks for all', [120, undefined], 150, pids],
    ['all, where nobody knows the newest', [120], undefined, pids],
    ['those from the first of several on', [120, 60], 160, [100, 150]],
    ['none that are given out later', [60], 120, [100]],
    ['those before and after they came round', [920], 100, [1, 50, 100, 950]],
    ['of several, one from before they came round', [60, 920], 100, [1, 50, 100, 950]],
  ] as const)('are %s', (_what, since, newest, wanted) => {
    expect(pidsSince(pids, new Set<number | undefined>(since), newest)).toEqual(wanted);
  });
});

describe('a look at all processes', () => {
  const sleeper = (marker: string) => start('exec sleep 1000', marker);

  it('is one for all who ask before it begins, however far back each goes', async () => {
    const marker = `look-${process.pid}`;
    const running = await sleeper(marker);
    const looks = await Promise.all([ProcessLook.take(running.pid), ProcessLook.take(), ProcessLook.take(running.pid)]);
    expect(new Set(looks).size).toBe(1);
    expect(looks[0].marked(marker)).toEqual([running.pid]);
    expect(looks[0].entry(1)?.pid).toBe(1);
    await running.kill();
    await running[Symbol.asyncDispose]();
  });

  it('begins after it was asked for: what was started before that is seen', async () => {
    const marker = `late-${process.pid}`;
    const first = ProcessLook.take();
    // It is under way, and gives others their turn.
    await new Promise(setImmediate);
    const running = await sleeper(marker);
    expect((await ProcessLook.take()).marked(marker)).toEqual([running.pid]);
    await first;
    await running.kill();
    await running[Symbol.asyncDispose]();
  });

  it('is taken a few times for many sessions that end at once, not a few times for each', async () => {
    const many = 150;
    const all = await Promise.all(Array.from({ length: many }, (_, at) => sleeper(`many-${process.pid}-${at}`)));
    const take = vi.spyOn(ProcessLook, 'take');
    await Promise.all(all.map((running) => running.hangUp(5000)));
    const asked = take.mock.results.map(({ value }) => value as Promise<ProcessLook>);
    take.mockRestore();
    // Each asks for one to find its processes, and one to see that they are gone.
    expect(asked.length).toBeGreaterThanOrEqual(2 * many);
    expect(new Set(asked).size).toBeLessThan(many);
    expect(all.flatMap((_, at) => alive(`many-${process.pid}-${at}`))).toEqual([]);
    await Promise.all(all.map((running) => running[Symbol.asyncDispose]()));
  });
});
