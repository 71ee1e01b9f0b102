import { describe, expect, it } from 'vitest';
import { isolationObstacle } from '../../../src/runtime/isolation/index.ts';
import { findBusybox } from '../../support/image.ts';
import { describeWithPeer } from '../../support/peer.ts';
import { runSeed } from '../../support/seed.ts';
import { KilledNode } from './killed-node.ts';
import { playRound } from './killed-round.ts';

const PODS = 24;
/** Half a minute on a machine with nothing else to do; this many ms on one that is busy. */
const TIMEOUT_MS = 600_000;

const obstacle = (await isolationObstacle()) ?? (findBusybox() === undefined ? 'no static BusyBox' : undefined);

// Needs `npm run build`. The long form: npm run soak -- killed-pods
const leavesNothing = (runtime: 'containerd' | 'ours') => (): void => {
  it(`${PODS} pods come and go while hops are killed, and leave nothing`, { timeout: TIMEOUT_MS }, async () => {
    await using node = await KilledNode.start(runtime);
    expect(await node.remains()).toEqual([]);
    const { kills, left } = await playRound(node, runSeed('killed pods'), PODS);
    expect(left).toEqual([]);
    expect(kills).toBeGreaterThan(0);
  });
};

describe.skipIf(obstacle !== undefined)(
  `our runtime${obstacle === undefined ? '' : ` (skipped: ${obstacle})`}`,
  leavesNothing('ours'),
);
describeWithPeer('containerd', 'containerd', leavesNothing('containerd'));
