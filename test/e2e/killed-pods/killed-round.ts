import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../support/seed.ts';
import type { KilledNode } from './killed-node.ts';
import { livePod } from './pod-life.ts';

/** How many pods live at once. */
const LANES = 6;
/** How long what is left may take to go, in ms: the kubelet looks for it every ten seconds. */
const SETTLE_MS = 60_000;

export interface RoundEnd {
  readonly kills: number;
  /** What is there though no pod is. */
  readonly left: readonly string[];
}

/**
 * Pods come and go while one hop after the other is killed. The seed decides what is done, not when.
 *
 * @throws Error with the hops' logs when a pod does not get on
 */
export async function playRound(node: KilledNode, seed: number, pods: number): Promise<RoundEnd> {
  const random = seededRandom(seed);
  let begun = 0;
  let kills = 0;
  const over = new AbortController();
  const live = async (): Promise<void> => {
    while (begun < pods && !over.signal.aborted) {
      begun += 1;
      await livePod(node.client, `pod-${seed}-${begun}`, random);
    }
  };
  const kill = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await sleep(random.between(300, 3000));
      const hop = random.pick(node.hops);
      await node.kill(hop);
      kills += 1;
      await sleep(random.between(0, 500));
      await node.restart(hop);
    }
  };
  const lives = Promise.all(Array.from({ length: LANES }, live));
  const ends = await Promise.allSettled([lives, kill()].map((work) => work.finally(() => over.abort())));
  for (const end of ends) {
    if (end.status === 'rejected') throw new Error(`after ${kills} kills: ${end.reason}\n${node.logs}`);
  }
  const deadline = performance.now() + SETTLE_MS;
  let left = await node.remains();
  while (left.length > 0 && performance.now() < deadline) {
    await sleep(500);
    left = await node.remains();
  }
  return { kills, left };
}
