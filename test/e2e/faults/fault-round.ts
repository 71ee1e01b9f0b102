import { setTimeout as delay } from 'node:timers/promises';
import { processesWith } from '../../support/process-table.ts';
import { type SeededRandom, seededRandom } from '../../support/seed.ts';
import { type Fault, randomFault } from '../../support/tcp-proxy.ts';
import { type HopChain, type LinkName, linkNames } from './hop-chain.ts';
import { runPlan, type SessionSight } from './session-client.ts';
import { randomPlan, type SessionPlan } from './session-plan.ts';
import { SETTLE_MS } from './short-limits.ts';

/** One session and what happens to it. */
export interface Round {
  readonly seed: number;
  readonly plan: SessionPlan;
  /** Undefined in one round of ten: then everything must be well. */
  readonly fault: (Fault & { readonly link: LinkName }) | undefined;
}

/** The request, its answer and the opening of the streams take about so many bytes in a direction. */
const OPENING_BYTES = 1_500;

/** The round of a seed; each of its processes carries the marker `fault-round-SEED-PID`. */
export function roundOf(seed: number): Round & { readonly marker: string } {
  const random = seededRandom(seed);
  const marker = `fault-round-${seed}-${process.pid}`;
  const plan = randomPlan(random, marker);
  return { seed, plan, fault: random.next() < 0.1 ? undefined : faultFor(plan, random), marker };
}

/** Half of the faults strike while the session opens, half anywhere in it; one that strikes behind its end is none. */
function faultFor(plan: SessionPlan, random: SeededRandom): Round['fault'] {
  const output = (plan.expected?.stdout.length ?? 0) + (plan.expected?.stderr.length ?? 0);
  const session = OPENING_BYTES + Math.max(plan.stdin?.length ?? 0, output);
  const fault = randomFault(random, random.next() < 0.5 ? OPENING_BYTES : Math.ceil(session * 1.05));
  return { ...fault, link: random.pick(linkNames) };
}

/** For the message of a failed round. */
export function describeRound({ seed, plan, fault }: Round): string {
  const what = `${plan.client} ${plan.transport}${plan.tty ? ' with a terminal' : ''}, ${plan.title}, ${plan.reader} reader, pod ${plan.pod}`;
  const how =
    fault === undefined ? 'no fault' : `${fault.kind} ${fault.direction} at byte ${fault.at} of ${fault.link}`;
  return `SEED=${seed}: ${what}; ${how}`;
}

/**
 * Plays one round.
 *
 * @returns what it found wrong, empty when all is well
 */
export async function playRound(chain: HopChain, seed: number): Promise<string[]> {
  const round = roundOf(seed);
  const { plan, fault, marker } = round;
  const link = fault && chain.links[fault.link];
  const strikesBefore = link?.strikes ?? 0;
  link?.breakNext(fault);
  const wrong: string[] = [];
  const sight = await within(runPlan(plan, chain.port), SETTLE_MS);
  const struck = link !== undefined && link.strikes > strikesBefore;
  if (sight === undefined) wrong.push(`the client did not settle within ${SETTLE_MS} ms`);
  else wrong.push(...untruths(plan, sight, struck));
  // A stalled link stays stalled: the hops have to find out.
  wrong.push(...(await left(chain, marker)));
  link?.breakNext(undefined);
  link?.resetAll();
  for (const { pid } of processesWith(marker)) process.kill(pid, 'SIGKILL');
  return wrong.map((text) => `${describeRound(round)}${struck ? '' : ' (behind its end)'}: ${text}`);
}

/** What a client was told that is not so. */
function untruths({ expected }: SessionPlan, sight: SessionSight, struck: boolean): string[] {
  const { outcome, stdout, stderr, hasStatus } = sight;
  const wrong: string[] = [];
  if (expected === undefined) {
    if (outcome.kind === 'exited') wrong.push(`exit code ${outcome.code} of a command that does not end`);
    return wrong;
  }
  const isPrefix = expected.stdout.subarray(0, stdout.length).equals(stdout);
  if (!isPrefix) wrong.push(`${stdout.length} bytes of stdout that the command did not write`);
  if (!expected.stderr.subarray(0, stderr.length).equals(stderr)) wrong.push('stderr that the command did not write');
  if (outcome.kind === 'failed') {
    if (!struck) wrong.push(`without a fault it failed: ${outcome.code} ${outcome.message}`);
    return wrong;
  }
  if (!hasStatus) wrong.push(`exit code ${outcome.code} without a Status`);
  if (outcome.code !== expected.code) wrong.push(`exit code ${outcome.code} in place of ${expected.code}`);
  if (stdout.length !== expected.stdout.length || stderr.length !== expected.stderr.length) {
    wrong.push(`exit code ${outcome.code} with ${stdout.length} of ${expected.stdout.length} bytes of stdout`);
  }
  return wrong;
}

/** Between two looks, in ms. */
const LOOK_EVERY_MS = 25;

/** Sessions, sockets and processes that do not go away. */
async function left(chain: HopChain, marker: string): Promise<string[]> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const remains = [...chain.remains(), ...processesWith(marker).map(({ pid, command }) => `${pid} ${command}`)];
    if (remains.length === 0) return [];
    if (Date.now() > deadline) return [`left after ${SETTLE_MS} ms: ${remains.join('; ')}`];
    await delay(LOOK_EVERY_MS);
  }
}

async function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  const stop = new AbortController();
  const late = delay(ms, undefined, { signal: stop.signal }).catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    stop.abort();
  }
}
