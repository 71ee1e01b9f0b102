import { isNotFound, type KubeObject } from '../../kubeapi/index.ts';
import { failureText } from '../failure-text.ts';
import { followUntil } from '../follow-objects.ts';
import { findAll, findObjects } from '../found-objects.ts';
import type { Io } from '../io.ts';
import { listRefusal } from '../list-refusal.ts';
import { singularOf } from '../object-kinds.ts';
import { type ObjectChoice, readTargets, type Target, type Targets } from '../targets.ts';
import { timeoutSignal } from '../timeout-signal.ts';
import { type ClusterCall, withClient } from '../with-client.ts';
import type { Goal } from './goal.ts';
import { isMet } from './is-met.ts';

/** What `podwire wait` was asked for. */
export interface WaitOptions extends ObjectChoice {
  readonly goal: Goal;
  /** For all objects together, in ms; 0 looks once. */
  readonly timeoutMs: number;
  readonly fieldSelector: string | undefined;
  /** Of those that are as they must be. */
  readonly onlyNames: boolean;
}

/** An object that is waited for. */
interface Awaited {
  readonly target: Target;
  readonly object: KubeObject;
}

const TIMED_OUT = 'error: timed out waiting for the condition\n';

/** `podwire wait`. @returns the exit code */
export async function waitForObjects(options: WaitOptions, io: Io): Promise<number> {
  const targetsIn = await readTargets(options, io);
  return withClient(options.values, io, async (call) => {
    const { timeoutMs } = options;
    const end = timeoutMs === 0 ? AbortSignal.abort() : timeoutSignal(timeoutMs);
    const limit = { ...call, signal: AbortSignal.any([call.signal, end]) };
    const chosen = await targetsIn(call);
    const { targets } = chosen;
    if (options.goal.kind === 'create') await Promise.all(targets.map((one) => exists(one, options, limit)));
    call.signal.throwIfAborted();
    const { awaited, failures } = await look(chosen, options, call);
    for (const one of awaited) {
      const failure = await failureOf(one, options, limit);
      call.signal.throwIfAborted();
      if (failure !== undefined) failures.push(failure);
      else
        io.out.write(
          `${singularOf(one.target.type)}/${one.object.metadata.name}${options.onlyNames ? '' : ' condition met'}\n`,
        );
    }
    const isDone = options.goal.kind === 'delete' || awaited.length > 0;
    if (!isDone && failures.length === 0) {
      failures.push(options.goal.kind === 'create' ? TIMED_OUT : 'error: no matching resources found\n');
    }
    for (const failure of failures) io.err.write(failure);
    return failures.length === 0 ? 0 : 1;
  });
}

/** @returns what is there to wait for, and the words of what failed */
async function look(
  { targets, failures: before }: Targets,
  options: WaitOptions,
  call: ClusterCall,
): Promise<{ readonly awaited: readonly Awaited[]; readonly failures: string[] }> {
  const selection = { ...options, chunkSize: 500, sortBy: '' };
  // What is gone already need not be waited for.
  const scope = { ignoreNotFound: options.goal.kind === 'delete', failures: before, signal: call.signal };
  const { answers, failures } = await findAll(targets, (one) => findObjects(one, selection, call), scope);
  const isLate = (failure: unknown): boolean => options.goal.kind === 'create' && isNotFound(failure);
  return {
    awaited: answers.flatMap(({ target, found }) => found.map((object) => ({ target, object }))),
    failures: failures.map((failure) =>
      isLate(failure) ? TIMED_OUT : failureText(failure, { namespace: options.values.namespace }),
    ),
  };
}

/** Waits until there is anything of the target, or the time is over. */
async function exists({ type, name, namespace }: Target, options: WaitOptions, limit: ClusterCall): Promise<void> {
  const { labelSelector, fieldSelector } = options;
  const which = name === undefined ? { labelSelector, fieldSelector } : { fieldSelector: nameSelector(name) };
  const followed = { type, namespace, ...which };
  await followUntil(limit.client, followed, (object) => object !== undefined, limit.signal).catch((thrown: unknown) => {
    throw listRefusal(thrown, type, which);
  });
}

/** @returns the words of what failed, such as that the time was over first */
async function failureOf(
  { target, object }: Awaited,
  { goal, timeoutMs }: WaitOptions,
  limit: ClusterCall,
): Promise<string | undefined> {
  const { type } = target;
  const { name, namespace, uid } = object.metadata;
  // Another object of the name that somebody makes meanwhile is not the one that is to be gone.
  const isDone = (now: KubeObject | undefined): boolean =>
    goal.kind === 'delete' ? now?.metadata.uid !== uid : now !== undefined && isMet(goal, now);
  const followed = { type, namespace, fieldSelector: nameSelector(name) };
  try {
    if (isDone(object) || (await followUntil(limit.client, followed, isDone, limit.signal))) return undefined;
  } catch (thrown) {
    return failureText(thrown);
  }
  const what = `${type.plural}/${name}`;
  return timeoutMs === 0
    ? `error: condition not met for ${what}\n`
    : `error: timed out waiting for the condition on ${what}\n`;
}

function nameSelector(name: string): string {
  return `metadata.name=${name}`;
}
