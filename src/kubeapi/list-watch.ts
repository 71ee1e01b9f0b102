import { setTimeout as wait } from 'node:timers/promises';
import { ExecPathError, toError } from '../common/errors.ts';
import type { KubeClient } from './client.ts';
import type { KubeObject } from './object-meta.ts';
import type { ResourceType } from './resource-type.ts';
import type { WatchChange } from './watch-event.ts';

/** What a follower sees: first and after every gap the whole list, then changes. */
export type ListWatchEvent<T> =
  | { readonly type: 'SYNC'; readonly items: readonly T[]; readonly resourceVersion: string }
  | WatchChange<T>;

export interface ListWatchOptions {
  /** Default: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Ends the loop; it returns, it does not throw. */
  readonly signal: AbortSignal;
  /** Told each failure and how long the loop waits before it goes on. */
  readonly onError?: (error: ExecPathError | Error, delayMs: number) => void;
  /** First delay after a failure, doubled up to the limit and scattered by half. Defaults 800 and 30 000. */
  readonly minDelayMs?: number;
  readonly maxDelayMs?: number;
  readonly timeoutSeconds?: number;
}

/** A watch that ends sooner and says nothing is a failure: without a delay the loop would spin. */
const SHORTEST_WATCH_MS = 1000;
/** Items of one page of the list. */
const PAGE_ITEMS = 500;
/** Items that are held of one list; select fewer by label, field or namespace. */
const MAX_ITEMS = 200_000;

/**
 * Follows a collection for as long as the signal lets it: list, then watch; a watch that ends or breaks goes on from
 * where it was, and is listed anew when the server has forgotten that point (410) or refuses it. Failures never end
 * the loop. A slow reader holds the server back.
 *
 * @see client-go tools/cache/reflector.go
 */
export async function* listWatch<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  options: ListWatchOptions,
): AsyncGenerator<ListWatchEvent<T>> {
  const { signal, minDelayMs = 800, maxDelayMs = 30_000 } = options;
  let delayMs = minDelayMs;
  let resourceVersion: string | undefined;
  while (!signal.aborted) {
    let began = Date.now();
    try {
      if (resourceVersion === undefined) {
        const list = await listAll(client, type, options);
        resourceVersion = list.resourceVersion;
        yield { type: 'SYNC', ...list };
      }
      began = Date.now();
      let isEmpty = true;
      for await (const event of client.watch(type, { ...pick(options), resourceVersion, ...timeout(options) })) {
        resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion;
        delayMs = minDelayMs;
        isEmpty = false;
        if (event.type !== 'BOOKMARK') yield event;
        if (signal.aborted) return;
      }
      if (isEmpty && Date.now() - began < SHORTEST_WATCH_MS)
        throw new Error('the watch ended at once without an event');
    } catch (thrown) {
      if (signal.aborted) return;
      if (!isInterruption(thrown)) resourceVersion = undefined;
      if (Date.now() - began > maxDelayMs) delayMs = minDelayMs;
      const scattered = delayMs * (0.5 + Math.random() / 2);
      options.onError?.(toError(thrown), scattered);
      await wait(scattered, undefined, { signal }).catch(() => {});
      delayMs = Math.min(delayMs * 2, maxDelayMs);
    }
  }
}

/** The way was broken, not the watch: it can go on from where it was. */
function isInterruption(thrown: unknown): boolean {
  const code = thrown instanceof ExecPathError ? thrown.code : undefined;
  return (
    code === 'ERR_DIAL' || code === 'ERR_DIAL_TIMEOUT' || code === 'ERR_CONNECTION_LOST' || code === 'ERR_API_TIMEOUT'
  );
}

/** Every page, as of one resource version. */
async function listAll<T>(
  client: KubeClient,
  type: ResourceType<T>,
  options: ListWatchOptions,
): Promise<{ items: readonly T[]; resourceVersion: string }> {
  const items: T[] = [];
  let next: string | undefined;
  for (;;) {
    const page = await client.list(type, { ...pick(options), limit: PAGE_ITEMS, continue: next });
    items.push(...page.items);
    if (items.length > MAX_ITEMS) {
      throw new ExecPathError('ERR_API_ANSWER', `there are more than ${MAX_ITEMS} ${type.plural}: select fewer`);
    }
    next = page.metadata.continue;
    if (next === undefined || next === '') return { items, resourceVersion: page.metadata.resourceVersion ?? '' };
  }
}

function pick(
  options: ListWatchOptions,
): Pick<ListWatchOptions, 'namespace' | 'labelSelector' | 'fieldSelector' | 'signal'> {
  const { namespace, labelSelector, fieldSelector, signal } = options;
  return { namespace, labelSelector, fieldSelector, signal };
}

function timeout({ timeoutSeconds }: ListWatchOptions): { timeoutSeconds?: number } {
  return timeoutSeconds === undefined ? {} : { timeoutSeconds };
}
