import { setTimeout as delay } from 'node:timers/promises';
import { processesWith } from '../../support/process-table.ts';
import type { SessionSight } from './session-client.ts';
import type { SessionPlan } from './session-plan.ts';
import { SETTLE_MS } from './short-limits.ts';

/** How a message begins that a machine without time can cause: a deadline passed, nothing untrue was told. */
export const FAILED_WITHOUT_FAULT = 'without a fault it failed';

/**
 * What a client was told that is not so.
 *
 * @param sight undefined when it was told nothing in time
 * @param mayFail something went wrong on the path; else only the command's own end is right
 */
export function untruths({ expected }: SessionPlan, sight: SessionSight | undefined, mayFail: boolean): string[] {
  if (sight === undefined) return [`the client did not settle within ${SETTLE_MS} ms`];
  const { outcome, stdout, stderr, hasStatus } = sight;
  if (expected === undefined) {
    return outcome.kind === 'exited' ? [`exit code ${outcome.code} of a command that does not end`] : [];
  }
  const wrong: string[] = [];
  const isPrefix = expected.stdout.subarray(0, stdout.length).equals(stdout);
  if (!isPrefix) wrong.push(`${stdout.length} bytes of stdout that the command did not write`);
  if (!expected.stderr.subarray(0, stderr.length).equals(stderr)) wrong.push('stderr that the command did not write');
  if (outcome.kind === 'failed') {
    if (!mayFail) wrong.push(`${FAILED_WITHOUT_FAULT}: ${outcome.code} ${outcome.message}`);
    return wrong;
  }
  if (!hasStatus) wrong.push(`exit code ${outcome.code} without a Status`);
  if (outcome.code !== expected.code) wrong.push(`exit code ${outcome.code} in place of ${expected.code}`);
  if (stdout.length !== expected.stdout.length || stderr.length !== expected.stderr.length) {
    const bytes = `${stdout.length} of ${expected.stdout.length} and ${stderr.length} of ${expected.stderr.length}`;
    wrong.push(`exit code ${outcome.code} with ${bytes} bytes of stdout and stderr`);
  }
  return wrong;
}

/** The result of `work`, or undefined when it takes longer than all deadlines of the path. */
export async function settled<T>(work: Promise<T>): Promise<T | undefined> {
  const stop = new AbortController();
  const late = delay(SETTLE_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    stop.abort();
  }
}

/** Looks come after 20 ms, then twice that … 640: they read large tables of the kernel. */
const FIRST_LOOK_MS = 20;
const LONGEST_LOOK_MS = 640;

/**
 * Waits until `look` finds nothing more.
 *
 * @param withinMs by default all deadlines of the path
 * @returns a message with what it still finds then, or nothing
 */
export async function leftBehind(look: () => string[], withinMs: number = SETTLE_MS): Promise<string[]> {
  const deadline = Date.now() + withinMs;
  for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_LOOK_MS)) {
    const found = look();
    if (found.length === 0) return [];
    if (Date.now() > deadline) return [`left after ${withinMs} ms: ${found.join('; ')}`];
    await delay(waitMs);
  }
}

/** Living processes of a command that was started with `marker`. */
export function commandsOf(marker: string): string[] {
  return processesWith(marker).map(({ pid, command }) => `${pid} ${command}`);
}
