import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { NamespaceMode } from '../../src/cri/index.ts';
import { startRuntime } from '../../src/runtime/index.ts';
import { isolationObstacle } from '../../src/runtime/isolation/index.ts';
import { mountsBelow } from '../../src/runtime/isolation/mounts.ts';
import { findBusybox } from '../support/image.ts';
import { WalledRuntime } from '../support/walled-runtime.ts';

// A runtime that is closed while its pods are being made and taken down.

const obstacle = (await isolationObstacle()) ?? (findBusybox() === undefined ? 'no static BusyBox' : undefined);
const ownPod = { network: NamespaceMode.POD, pid: NamespaceMode.POD };

describe.skipIf(obstacle !== undefined)(
  `a runtime that closes${obstacle === undefined ? '' : ` (${obstacle})`}`,
  () => {
    const runPods = (walls: WalledRuntime): Promise<unknown>[] =>
      Array.from({ length: 4 }, () => walls.run(['sleep', '1000'], {}, ownPod));

    it.each([0, 20, 60, 150])(
      'takes down pods that a caller removes, and has for %i ms',
      async (ms) => {
        await using walls = await WalledRuntime.start();
        const pods = await Promise.all(Array.from({ length: 4 }, () => walls.run(['sleep', '1000'], {}, ownPod)));
        const removed = pods.map(({ podSandboxId }) => walls.cri.runtime.removePodSandbox({ podSandboxId }));
        await closesWholeAfter(ms, walls, removed);
      },
      120_000,
    );

    it.each([0, 40, 120, 250, 500])(
      'takes down pods that a caller makes, and has for %i ms',
      async (ms) => {
        await using walls = await WalledRuntime.start();
        await closesWholeAfter(ms, walls, runPods(walls));
      },
      120_000,
    );

    it('takes down the rest when one pod cannot be, says why, and leaves that one to the next', async () => {
      const walls = await WalledRuntime.start();
      await Promise.all(runPods(walls));
      const pods = join(walls.directory, 'state/pods');
      const held = readdirSync(pods)[0] ?? '';
      const record = join(pods, held, 'network.json');
      const whole = readFileSync(record, 'utf8');
      writeFileSync(record, JSON.stringify({ ...JSON.parse(whole), plugins: [{ type: 'no-such-plugin' }] }));
      await walls.cri.close();
      await expect(walls.runtime.close()).rejects.toThrow(/no-such-plugin/);
      const left = mountsBelow(walls.directory);
      expect(left).not.toEqual([]);
      expect(left.filter((point) => !point.startsWith(`${join(pods, held)}/`))).toEqual([]);

      writeFileSync(record, whole);
      const next = await startRuntime({ stateDir: join(walls.directory, 'state'), isolation: true });
      expect(mountsBelow(walls.directory)).toEqual([]);
      await next.close();
      rmSync(walls.directory, { recursive: true });
    }, 120_000);
  },
);

describe.skipIf(obstacle !== undefined)('a runtime whose state folder is reached by a link', () => {
  it('takes down what it made', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-link-'));
    mkdirSync(join(folder, 'real'));
    symlinkSync('real', join(folder, 'link'));
    {
      await using walls = await WalledRuntime.start({ parent: join(folder, 'link') });
      const { podSandboxId, containerId } = await walls.run(['sleep', '1000'], {}, ownPod);
      expect(await walls.sh(containerId, 'hostname')).toBe('pod');
      await walls.run(['sleep', '1000'], {}, ownPod);
      const before = mountsBelow(folder).length;
      await walls.cri.runtime.removePodSandbox({ podSandboxId });
      expect(mountsBelow(folder).length).toBeLessThan(before);
    }
    expect(mountsBelow(folder)).toEqual([]);
    rmSync(folder, { recursive: true });
  }, 60_000);
});

describe.skipIf(obstacle !== undefined)('a pod that two callers remove', () => {
  it('is removed for both', async () => {
    await using walls = await WalledRuntime.start();
    const { podSandboxId } = await walls.run(['sleep', '1000'], {}, ownPod);
    await Promise.all([0, 1].map(() => walls.cri.runtime.removePodSandbox({ podSandboxId })));
    expect(mountsBelow(join(walls.directory, 'state/pods'))).toEqual([]);
  }, 60_000);
});

/** Hangs up and closes: who hangs up waits for no answer, and the runtime waits for no call that nobody waits for. */
async function closesWholeAfter(ms: number, walls: WalledRuntime, calls: readonly Promise<unknown>[]): Promise<void> {
  const settled = Promise.allSettled(calls);
  await sleep(ms);
  await walls.cri.close();
  await walls.runtime.close();
  expect(mountsBelow(walls.directory)).toEqual([]);
  await settled;
  // What a call goes on with after the close would be seen here.
  await sleep(200);
  expect(mountsBelow(walls.directory)).toEqual([]);
  expect(['tools', 'pods'].filter((name) => existsSync(join(walls.directory, 'state', name)))).toEqual([]);
}
