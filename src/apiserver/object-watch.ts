import { apiVersionOf, type KubeObject } from '../kubeapi/index.ts';
import type { Store, StoreEntry, StoreEvent } from '../store/index.ts';
import type { ApiObject } from './api-object.ts';
import { decodeObject, prefixOf, withRevision } from './object-codec.ts';
import { filterOf, type ObjectFilter, type ObjectQuery } from './object-query.ts';
import type { Resource } from './resource.ts';

/** Where a watch begins. */
export interface WatchStart {
  /** After this revision; absent or 0: with an ADDED for each object that is there. */
  readonly afterRevision?: number;
  /** With an ADDED for each object, then a BOOKMARK annotated as their end, whatever the revision. */
  readonly sendInitialEvents?: boolean;
}

export type ObjectWatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: ApiObject }
  | {
      readonly type: 'BOOKMARK';
      readonly object: KubeObject;
      /** It ends the initial events, so it must be sent; others only say how far the watch has come. */
      readonly endsInitialEvents: boolean;
    };

/** Marks the bookmark behind the initial events of a watch-list. */
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

/**
 * The changes of a collection as its selectors see them: an object that begins to match is ADDED, one that ceases to
 * is DELETED.
 *
 * @throws ExecPathError ERR_BAD_REQUEST, ERR_REVISION_COMPACTED, ERR_REVISION_FUTURE
 */
export async function* watchObjects(
  store: Store,
  resource: Resource,
  query: ObjectQuery,
  start: WatchStart & { readonly signal?: AbortSignal },
): AsyncGenerator<ObjectWatchEvent, void> {
  const filter = filterOf(resource, query);
  const prefix = prefixOf(resource, filter.namespace);
  let after = start.afterRevision ?? 0;
  if (after === 0 || start.sendInitialEvents === true) {
    const { entries, revision } = await store.range(prefix);
    after = revision;
    for (const entry of entries) {
      const object = decodeObject(resource, entry);
      if (filter.matches(object)) yield { type: 'ADDED', object };
    }
    if (start.sendInitialEvents === true) yield bookmark(resource, revision, true);
  }
  const signal = start.signal === undefined ? {} : { signal: start.signal };
  for await (const event of store.watch(prefix, after, signal)) {
    if (event.type === 'progress') yield bookmark(resource, event.revision, false);
    else yield seenThrough(filter, resource, event) ?? bookmark(resource, event.revision, false);
  }
}

function bookmark(resource: Resource, revision: number, endsInitialEvents: boolean): ObjectWatchEvent {
  const resourceVersion = String(revision);
  // Real bookmarks have no name; the type asks for one.
  const metadata = endsInitialEvents
    ? { name: '', resourceVersion, annotations: { [INITIAL_EVENTS_END]: 'true' } }
    : { name: '', resourceVersion };
  return {
    type: 'BOOKMARK',
    object: { kind: resource.kind, apiVersion: apiVersionOf(resource), metadata },
    endsInitialEvents,
  };
}

/** What was removed, as its end is shown. An entry ends once, so it is the same for every watch. */
const ends = new WeakMap<StoreEntry, ApiObject>();

function endOf(resource: Resource, entry: StoreEntry, revision: number): ApiObject {
  const known = ends.get(entry);
  if (known !== undefined) return known;
  const end = withRevision(decodeObject(resource, entry), revision);
  ends.set(entry, end);
  return end;
}

function seenThrough(filter: ObjectFilter, resource: Resource, event: StoreEvent): ObjectWatchEvent | undefined {
  const before = event.previous === undefined ? undefined : decodeObject(resource, event.previous);
  const now = event.type === 'put' ? decodeObject(resource, event.entry) : undefined;
  const didMatch = before !== undefined && filter.matches(before);
  if (now !== undefined && filter.matches(now)) return { type: didMatch ? 'MODIFIED' : 'ADDED', object: now };
  if (!didMatch || event.previous === undefined) return undefined;
  // It shows the object as the selectors last saw it, at the revision of the change.
  return { type: 'DELETED', object: endOf(resource, event.previous, event.revision) };
}
