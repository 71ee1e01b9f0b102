// `npm run soak -- pty`: the same truth within walls, from the process through the streaming server to the client.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isolationObstacle } from '../../src/runtime/isolation/index.ts';
import { findBusybox } from '../support/image.ts';
import { runSeed, seededRandom } from '../support/seed.ts';
import type { ExecEnd } from '../support/walled-pods.ts';
import { WalledRuntime } from '../support/walled-runtime.ts';

const RUNS = Number(process.env['PODWIRE_SOAK_RUNS'] ?? 3000);
const AT_ONCE = 30;
const canRun = (await isolationObstacle()) === undefined && findBusybox() !== undefined;

describe.skipIf(!canRun)('commands in a container with walls', () => {
  let walls: WalledRuntime;
  let containerId: string;
  beforeAll(async () => {
    walls = await WalledRuntime.start();
    ({ containerId } = await walls.run(['sleep', '1000000']));
  });
  afterAll(() => walls[Symbol.asyncDispose]());

  it.each([
    ['pipes', false],
    ['terminals', true],
  ])(`on %s lose no byte of about 100,000 and no exit code, ${RUNS} times, ${AT_ONCE} at once`, async (kind, tty) => {
    const random = seededRandom(runSeed(`pty-walls ${kind}`));
    for (let i = 0; i < RUNS; i += AT_ONCE) {
      const wanted = Array.from({ length: AT_ONCE }, (): ExecEnd => {
        return { bytes: random.between(99_000, 101_000), code: random.between(0, 255) };
      });
      const got = wanted.map(({ bytes, code }) =>
        walls.bytesOf(containerId, ['sh', '-c', `head -c ${bytes} /dev/zero; exit ${code}`], { tty }),
      );
      expect(await Promise.all(got)).toEqual(wanted);
    }
  });

  it(`end cat by ctrl-D with code 0, ${RUNS / 3} times`, async () => {
    for (let i = 0; i < RUNS / 3; i += 1) {
      const command = await walls.exec(containerId, ['cat'], { tty: true, stdin: true });
      command.stdout!.resume();
      command.stdin!.write('x\n\x04');
      expect(await command.completed).toMatchObject({ kind: 'exited', code: 0 });
      await command.closed;
    }
  });
});
