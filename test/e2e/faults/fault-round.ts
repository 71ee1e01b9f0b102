import { monitorEventLoopDelay } from 'node:perf_hooks';
import { processesWith } from '../../support/process-table.ts';
import { type SeededRandom, seededRandom } from '../../support/seed.ts';
import { type Fault, randomFault } from '../../support/tcp-proxy.ts';
import { type HopChain, type LinkName, linkNames } from './hop-chain.ts';
import { runPlan } from './session-client.ts';
import { describePlan, randomPlan, type SessionPlan } from './session-plan.ts';
import { commandsOf, FAILED_WITHOUT_FAULT, leftBehind, settled, untruths } from './truth.ts';

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

/** Whether a round is played on a chain with TLS: with odd seeds. */
export function usesTls(seed: number): boolean {
  return seed % 2 === 1;
}

/** For the message of a failed round. */
function describeRound({ seed, plan, fault }: Round): string {
  const path = usesTls(seed) ? 'TLS' : 'plain';
  const how =
    fault === undefined ? 'no fault' : `${fault.kind} ${fault.direction} at byte ${fault.at} of ${fault.link}`;
  return `SEED=${seed}: ${path}, ${describePlan(plan)}; ${how}`;
}

/** When nothing at all ran for so long, a deadline that passed says something of the machine, not of a hop. In ms. */
const STANDSTILL_MS = 500;

/** How often a round is played that met a standstill. */
const ATTEMPTS = 5;

/**
 * Plays one round; once more when it failed, and nothing worse, while the whole process stood still.
 *
 * @returns what it found wrong, empty when all is well
 */
export async function playRound(chain: HopChain, seed: number): Promise<string[]> {
  const round = roundOf(seed);
  for (let attempt = 1; ; attempt += 1) {
    const delays = monitorEventLoopDelay();
    delays.enable();
    const wrong = await playOnce(chain, round);
    delays.disable();
    const standstillMs = Math.round(delays.max / 1e6);
    if (wrong.length === 0) return [];
    const told = wrong.map((text) => `${describeRound(round)}: ${text} (longest standstill ${standstillMs} ms)`);
    const isLateOnly = wrong.every((text) => text.startsWith(FAILED_WITHOUT_FAULT));
    if (!isLateOnly || standstillMs < STANDSTILL_MS || attempt === ATTEMPTS) return told;
    console.log(`played again: ${told.join('; ')}`);
  }
}

async function playOnce(chain: HopChain, { plan, fault, marker }: ReturnType<typeof roundOf>): Promise<string[]> {
  const link = fault && chain.links[fault.link];
  const strikesBefore = link?.strikes ?? 0;
  link?.breakNext(fault);
  const sight = await settled(runPlan(plan, chain.apiserver));
  const struck = link !== undefined && link.strikes > strikesBefore;
  const open = chain.remains().join('; ');
  const wrong = untruths(plan, sight, struck).map((text) => `${text} [then open: ${open}]`);
  // A stalled link stays stalled: the hops have to find out.
  wrong.push(...(await leftBehind(() => chain.remains())), ...(await leftBehind(() => commandsOf(marker))));
  link?.breakNext(undefined);
  link?.resetAll();
  for (const { pid } of processesWith(marker)) process.kill(pid, 'SIGKILL');
  return wrong;
}
