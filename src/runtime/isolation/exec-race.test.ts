import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { findBusybox } from '../../../test/support/image.ts';
import { runSeed, seededRandom } from '../../../test/support/seed.ts';
import { WalledRuntime } from '../../../test/support/walled-runtime.ts';
import { isolationObstacle } from './index.ts';

const obstacle = (await isolationObstacle()) ?? (findBusybox() === undefined ? 'no static BusyBox' : undefined);

const ROUNDS = 10;
const EXECS = 6;
/** In ms: about as long as a way in takes. */
const SPREAD_MS = 120;
const GONE = /ended before the command began|is in CONTAINER_EXITED state|not found/;

describe.skipIf(obstacle !== undefined)(
  `an exec whose container is removed${obstacle === undefined ? '' : ` (${obstacle})`}`,
  () => {
    it('is told as killed when its command had begun, else as one whose container is gone', {
      timeout: 300_000,
    }, async () => {
      const random = seededRandom(runSeed('exec race'));
      await using walls = await WalledRuntime.start();
      const begun = join(walls.directory, 'begun');
      mkdirSync(begun, { mode: 0o777 });
      const mounts = [{ hostPath: begun, containerPath: '/begun' }];
      for (let round = 0; round < ROUNDS; round += 1) {
        const { containerId } = await walls.run(['sleep', '1000'], { mounts });
        const execs = Array.from({ length: EXECS }, async (_, at) => {
          await delay(random.between(0, SPREAD_MS));
          const name = `${round}-${at}`;
          const cmd = ['sh', '-c', `echo >/begun/${name}; exec sleep 1000`];
          const told = await walls.cri.runtime.execSync({ containerId, cmd, timeout: 120n }).then(
            ({ exitCode }) => exitCode,
            ({ message }: Error) => message,
          );
          return { told, hasBegun: existsSync(join(begun, name)) };
        });
        await delay(random.between(0, 2 * SPREAD_MS));
        await walls.cri.runtime.removeContainer({ containerId });
        for (const { told, hasBegun } of await Promise.all(execs)) {
          expect(typeof told === 'number' ? told : 137).toBe(137);
          if (typeof told === 'string') expect([told, hasBegun]).toEqual([expect.stringMatching(GONE), false]);
        }
      }
    });
  },
);
