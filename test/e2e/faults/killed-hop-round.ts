import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '../../support/seed.ts';
import { podNames } from './chain-pods.ts';
import { type HopProcesses, hopNames } from './hop-processes.ts';
import { runPlan } from './session-client.ts';
import { describePlan, randomPlan, type SessionPlan } from './session-plan.ts';
import { commandsOf, leftBehind, settled, untruths } from './truth.ts';

/** Most sessions are over after so many ms. */
const STRIKE_WITHIN_MS = 80;

/**
 * One session whose path loses a hop at a random moment: killed, or stopped as by a machine that hangs.
 *
 * The other hops have to end the session by themselves. Then the hop is started or continued, ends what it had left, and
 * serves the next session.
 *
 * @returns what was wrong, empty when all is well
 */
export async function playKilledHop(hops: HopProcesses, seed: number): Promise<string[]> {
  const random = seededRandom(seed);
  const marker = `killed-hop-${seed}-${process.pid}`;
  const plan = randomPlan(random, marker);
  const victim = random.pick(hopNames);
  const how = random.pick(['kill', 'stop'] as const);
  const afterMs = random.between(0, STRIKE_WITHIN_MS);
  const session = settled(runPlan(plan, hops.apiserver));
  await delay(afterMs);
  if (how === 'kill') await hops.kill(victim);
  else hops.stop(victim);

  const wrong = untruths(plan, await session, true);
  const others = ([...hopNames, 'client'] as const).filter((name) => name !== victim);
  const held = (): string[] => others.flatMap((name) => hops.socketsOf(name).map((socket) => `${name} ${socket}`));
  wrong.push(...(await leftBehind(held)));
  if (victim !== 'runtime') wrong.push(...(await leftBehind(() => commandsOf(marker))));

  if (how === 'kill') await hops.restart(victim);
  else hops.continue(victim);
  wrong.push(...(await leftBehind(() => hops.socketsOf(victim))), ...(await leftBehind(() => commandsOf(marker))));
  const after = healthy(`${marker}-after`);
  wrong.push(
    ...untruths(after, await settled(runPlan(after, hops.apiserver)), false).map((text) => `afterwards ${text}`),
  );
  const title = `SEED=${seed}: ${describePlan(plan)}; ${how} ${victim} after ${afterMs} ms`;
  return wrong.map((text) => `${title}: ${text}`);
}

function healthy(marker: string): SessionPlan {
  const expected = { stdout: Buffer.from('well\n'), stderr: Buffer.alloc(0), code: 3 };
  const argv = ['sh', '-c', 'echo well; exit 3', marker];
  const base = { transport: 'SPDY v4', client: 'bare', reader: 'fast', tty: false } as const;
  return { ...base, title: 'a session', pod: podNames.passThrough, argv, expected };
}
