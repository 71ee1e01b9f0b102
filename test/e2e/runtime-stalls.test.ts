import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HOST_IMAGE } from '../../src/runtime/index.ts';
import { isolationObstacle } from '../../src/runtime/isolation/index.ts';
import { mustRun } from '../support/child.ts';
import { findBusybox, TEST_IMAGE } from '../support/image.ts';
import { WalledRuntime } from '../support/walled-runtime.ts';

/** Of one log: then its container is told to end. */
const ROTATIONS = 50;

// Whoever does not read, and a disk that takes nothing more, stop nobody else.

const obstacle = (await isolationObstacle()) ?? (findBusybox() === undefined ? 'no static BusyBox' : undefined);

describe.skipIf(obstacle !== undefined).each([
  ['the host image', HOST_IMAGE],
  ['walls', TEST_IMAGE],
])(`a container of %s${obstacle === undefined ? '' : ` (${obstacle})`}`, (_title, image) => {
  let walls: WalledRuntime;
  beforeAll(async () => {
    walls = await WalledRuntime.start({ runtime: { streaming: { drainAfterExitMs: 300 } } });
  });
  afterAll(() => walls[Symbol.asyncDispose]());

  it.each([
    ['on pipes', false],
    ['on a terminal', true],
  ])('is stopped and removed while clients of exec and attach %s do not read', async (_kind, tty) => {
    const command = ['sh', '-c', 'while :; do echo the container itself speaks; done'];
    const { containerId } = await walls.run(command, { image: { image }, tty });
    const stalled = [
      await walls.exec(containerId, ['yes'], { tty }),
      await walls.exec(containerId, ['yes'], { tty }),
      await walls.attach(containerId, { tty }),
    ];
    for (const session of stalled) await new Promise((resolve) => session.stdout!.once('readable', resolve));
    await walls.cri.runtime.stopContainer({ containerId, timeout: 1n });
    await walls.cri.runtime.removeContainer({ containerId });
    const { containers } = await walls.cri.runtime.listContainers({ filter: { id: containerId } });
    expect(containers).toEqual([]);
    for (const session of stalled) session.abort();
    for (const session of stalled) expect((await session.completed).kind).not.toBe('pending');
  });

  it('ends a command whose child keeps its output, after a deadline, and the child with the container', async () => {
    const { containerId } = await walls.run(['sleep', '1000'], { image: { image } });
    const script = 'sleep 4242 & echo said; exit 3';
    expect(await walls.bytesOf(containerId, ['sh', '-c', script], {})).toEqual({ bytes: 5, code: 3 });
    expect(await walls.bytesOf(containerId, ['sh', '-c', script], { tty: true })).toEqual({ bytes: 6, code: 3 });
  });

  it('runs on, and ends with its own code, when the disk of its log is full, and has whole entries alone when space is freed', async () => {
    const logDirectory = join(walls.directory, `full-${image.length}`);
    mkdirSync(logDirectory);
    await mustRun('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'podwire-full', logDirectory]);
    try {
      const filler = join(logDirectory, 'filler');
      writeFileSync(filler, Buffer.alloc(30_000));
      const freed = image === HOST_IMAGE ? join(walls.directory, 'freed') : '/tmp/freed';
      const lines = 'i=0; while [ $i -lt 300 ]; do i=$((i+1)); head -c 5000 /dev/zero | tr "\\0" x; echo; done';
      const script = `${lines}; until [ -e ${freed} ]; do echo short >&2; sleep 0.05; done; echo after; exit 7`;
      const { containerId } = await walls.run(
        ['sh', '-c', script],
        { image: { image }, logPath: '0.log' },
        { logDirectory },
      );
      const log = join(logDirectory, '0.log');
      // A short line finds space where the long ones find none.
      await expect.poll(() => readFileSync(log, 'latin1').includes('stderr F short\n'), { timeout: 30_000 }).toBe(true);
      rmSync(filler);
      await walls.cri.runtime.execSync({ containerId, cmd: ['touch', freed] });
      expect(await walls.exitCode(containerId)).toBe(7);
      const written = readFileSync(log, 'latin1').split('\n');
      expect(written.slice(-2).map((line) => line.replace(/^\S+Z /, ''))).toEqual(['stdout F after', '']);
      for (const line of written.slice(0, -2)) expect(line).toMatch(/^\S+Z (stdout F x{5000}|stderr F short)$/);
      expect(written.filter((line) => line.endsWith('x')).length).toBeGreaterThan(2);
    } finally {
      await mustRun('umount', ['-l', logDirectory]);
    }
  });

  it('loses no line of its log and writes none twice, however often it is rotated', async () => {
    const logDirectory = join(walls.directory, `rotated-${image.length}`);
    // It goes on until it has been rotated often enough.
    const enough = image === HOST_IMAGE ? join(walls.directory, 'enough') : '/tmp/enough';
    const step = 'i=$((i+1)); echo line $i; [ $((i % 50)) != 0 ] || sleep 0.01';
    const command = ['sh', '-c', `i=0; until [ -e ${enough} ]; do ${step}; done; printf "no newline"`];
    const { containerId } = await walls.run(command, { image: { image }, logPath: '0.log' }, { logDirectory });
    const log = join(logDirectory, '0.log');
    for (let rotations = 0; ; rotations += 1) {
      if (rotations === ROTATIONS) await walls.cri.runtime.execSync({ containerId, cmd: ['touch', enough] });
      renameSync(log, `${log}.${String(rotations).padStart(6, '0')}`);
      const isRunning = await walls.cri.runtime.reopenContainerLog({ containerId }).then(
        () => true,
        () => false,
      );
      if (!isRunning) break;
    }
    await walls.exitCode(containerId);
    const files = readdirSync(logDirectory)
      .filter((name) => name !== '0.log')
      .sort();
    const text = [...files, ...readdirSync(logDirectory).filter((name) => name === '0.log')]
      .map((name) => readFileSync(join(logDirectory, name), 'latin1'))
      .join('');
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^\S+ stdout /, ''));
    expect(lines.length).toBeGreaterThan(1);
    expect(lines).toEqual([...lines.slice(1).map((_, at) => `F line ${at + 1}`), 'P no newline']);
  });
});
