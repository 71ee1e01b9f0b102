import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mustRun } from '../../../test/support/child.ts';
import { findBusybox } from '../../../test/support/image.ts';
import { WalledRuntime } from '../../../test/support/walled-runtime.ts';
import { NamespaceMode } from '../../cri/index.ts';
import { markedProcesses, ProcessHandle } from '../process/index.ts';
import { isolationObstacle } from './index.ts';

const obstacle = (await isolationObstacle()) ?? (findBusybox() === undefined ? 'no static BusyBox' : undefined);

/** The machine may be busy. */
const GONE_MS = 30_000;

describe.skipIf(obstacle !== undefined)(
  `the way into a container${obstacle === undefined ? '' : ` (${obstacle})`}`,
  () => {
    let walls: WalledRuntime;
    beforeAll(async () => {
      walls = await WalledRuntime.start();
    });
    afterAll(() => walls[Symbol.asyncDispose]());

    /** The process that has the root with nothing but tools. */
    function toolsHolder(): ProcessHandle {
      const claim = readFileSync(join(walls.directory, 'state/runtime.json'), 'utf8');
      const { marker } = JSON.parse(claim) as { marker: string };
      return new ProcessHandle(markedProcesses(`${marker}/tools`)[0]!.pid);
    }

    /** From now on none of the tools is found on the way. */
    async function takeToolsAway(): Promise<void> {
      const { pid } = toolsHolder();
      const inside = [`--mount=/proc/${pid}/ns/mnt`, '--root=/', '--wd=/'];
      await mustRun('nsenter', [...inside, '--', 'umount', '-l', `/proc/${pid}/root/usr`]);
    }

    async function killHolder(): Promise<void> {
      const holder = toolsHolder();
      holder.kill();
      expect(await holder.gone(GONE_MS)).toBe(true);
    }

    const execSync = (containerId: string, ...cmd: string[]) =>
      walls.cri.runtime.execSync({ containerId, cmd, timeout: 60n });
    const errorFiles = (containerId: string): string[] =>
      readdirSync(join(walls.directory, 'state/containers', containerId)).filter((name) =>
        name.startsWith('exec-errors'),
      );

    it('is told as a start that failed, in the words of the tool, when it is broken', async () => {
      const { containerId } = await walls.run(['sleep', '1000']);
      await takeToolsAway();
      const words = /unable to start container process: nsenter: failed to execute .*: No such file or directory/;
      const several = [1, 2, 3].map(() => expect(execSync(containerId, 'true')).rejects.toThrow(words));
      await Promise.all(several);
      for (const tty of [false, true]) {
        const session = await walls.exec(containerId, ['true'], { tty });
        session.stdout?.resume();
        session.stderr?.resume();
        expect(await session.completed).toMatchObject({
          kind: 'failed',
          message: expect.stringContaining('failed to exec in container: nsenter: failed to execute'),
        });
      }
      expect(errorFiles(containerId)).toEqual([]);
      await killHolder();
      expect(await walls.sh(containerId, 'echo healed')).toBe('healed');
    });

    it('leaves the codes and the words of commands alone, and no file', async () => {
      const { containerId } = await walls.run(['sleep', '1000']);
      const codes = [0, 1, 2, 126, 137];
      const ends = await Promise.all(
        codes.map((code) => execSync(containerId, 'sh', '-c', `echo + >&2; exit ${code}`)),
      );
      expect(ends.map(({ exitCode }) => exitCode)).toEqual(codes);
      expect(ends.map(({ stderr }) => Buffer.from(stderr).toString())).toEqual(codes.map(() => '+\n'));
      const { exitCode } = await execSync(containerId, 'sh', '-c', 'kill -9 $$');
      expect(exitCode).toBe(137);
      expect(errorFiles(containerId)).toEqual([]);
    });

    it('is there again when the holder of the tools has died, for execs and for pods with shared processes', async () => {
      const { containerId } = await walls.run(['sleep', '1000']);
      await killHolder();
      const [one, two] = await Promise.all([walls.sh(containerId, 'echo one'), walls.sh(containerId, 'echo two')]);
      expect([one, two]).toEqual(['one', 'two']);
      await killHolder();
      const shared = await walls.run(['sleep', '1000'], {}, { pid: NamespaceMode.POD });
      expect(await walls.sh(shared.containerId, 'ps')).toContain('sleep 1000');
    });
  },
);
