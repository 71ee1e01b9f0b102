import { ExecPathError } from '../common/errors.ts';
import type { ListMeta, ResourceType } from '../kubeapi/index.ts';
import type { Store } from '../store/index.ts';
import { type ApiError, alreadyExists, forbidden, notFound, staleVersion, stillGoing } from './api-error.ts';
import { type ApiObject, isSameJson } from './api-object.ts';
import { decodeContinue, encodeContinue, expiredContinue } from './continue-token.ts';
import { type DeleteOptions, type Deletion, decideDeletion, isReadyToGo } from './deletion.ts';
import { decodeObject, encodeObject, keyOf, type ObjectAddress, prefixOf, withRevision } from './object-codec.ts';
import { filterOf, type ObjectQuery } from './object-query.ts';
import { prepareNew, prepareNext, type UpdateScope } from './object-rules.ts';
import { type ObjectWatchEvent, type WatchStart, watchObjects } from './object-watch.ts';
import type { Resource } from './resource.ts';
import { namespaceResource } from './resources.ts';

export interface ListOptions extends ObjectQuery {
  /** At most so many objects; absent or 0: all. */
  readonly limit?: number;
  /** Token of an earlier page. */
  readonly continue?: string;
  /** Show this revision; absent: the newest. */
  readonly revision?: number;
}

export interface ObjectList {
  readonly metadata: ListMeta;
  readonly items: readonly ApiObject[];
}

export interface WriteOptions {
  /** Everything is checked and answered as if it were done, and nothing is written. */
  readonly dryRun?: boolean;
}

export interface UpdateOptions extends WriteOptions {
  /** Default `main`: everything but `status`. */
  readonly scope?: UpdateScope;
}

/** How often a change is computed anew because somebody else wrote in between. */
const MAX_UPDATE_ATTEMPTS = 16;

/** The largest object, in characters of its JSON: as much as a body may have. */
const MAX_OBJECT_CHARS = 3 * 1024 * 1024;

/** Store entries read at a time for a page that selectors thin out. */
const SCAN_ENTRIES = 1000;

/** These have always been there and stay. */
const lastingNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/**
 * The objects of the API: kubelets and people read and write them here, whatever the path they come by.
 *
 * Objects that it gives are shared: never change them. It checks what is sent, not who sends it.
 */
export class Registry {
  readonly #store: Store;
  readonly #resources: readonly Resource[];

  constructor(store: Store, resources: readonly Resource[]) {
    this.#store = store;
    this.#resources = resources;
  }

  /** Everything that it holds, as discovery lists it. */
  get resources(): readonly Resource[] {
    return this.#resources;
  }

  /** The namespaces that every cluster has; those that exist are left alone. */
  async createLastingNamespaces(): Promise<void> {
    for (const name of lastingNamespaces) {
      const address = { namespace: '', name };
      if ((await this.#store.get(keyOf(namespaceResource, address))).entry !== undefined) continue;
      await this.create(namespaceResource, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    }
  }

  /** The object, or undefined when there is none. */
  async find<T = ApiObject>(type: ResourceType<T>, address: ObjectAddress): Promise<(T & ApiObject) | undefined> {
    const resource = this.#resourceOf(type);
    const { entry } = await this.#store.get(keyOf(resource, address));
    return entry === undefined ? undefined : (decodeObject(resource, entry) as T & ApiObject);
  }

  /** @throws ApiError ERR_NOT_FOUND */
  async get<T = ApiObject>(type: ResourceType<T>, address: ObjectAddress): Promise<T & ApiObject> {
    const found = await this.find(type, address);
    if (found === undefined) throw notFound(type, address.name);
    return found;
  }

  /**
   * The objects that `options` select, ordered by namespace and name.
   *
   * @throws ExecPathError ERR_BAD_REQUEST for selectors and tokens, ERR_REVISION_COMPACTED and ERR_REVISION_FUTURE
   */
  async list(type: ResourceType<unknown>, options: ListOptions = {}): Promise<ObjectList> {
    const resource = this.#resourceOf(type);
    const filter = filterOf(resource, options);
    const prefix = prefixOf(resource, filter.namespace);
    const limit = options.limit === undefined || options.limit === 0 ? Number.POSITIVE_INFINITY : options.limit;
    const token = options.continue === undefined ? undefined : decodeContinue(options.continue, prefix);
    let revision = token?.revision ?? options.revision;
    let after = token?.after;
    const items: ApiObject[] = [];
    for (;;) {
      const want = filter.selectsAll ? limit - items.length : SCAN_ENTRIES;
      const page = await this.#store
        .range(prefix, {
          ...(after === undefined ? {} : { after }),
          ...(revision === undefined ? {} : { revision }),
          ...(Number.isFinite(limit) ? { limit: want } : {}),
        })
        .catch((cause: unknown) => {
          throw token === undefined ? cause : expiredContinue(cause);
        });
      revision = page.revision;
      const metadata = { resourceVersion: String(revision) };
      for (const [at, entry] of page.entries.entries()) {
        const object = decodeObject(resource, entry);
        if (filter.matches(object)) items.push(object);
        const remaining = page.remaining + page.entries.length - at - 1;
        if (items.length < limit || remaining === 0) continue;
        const next = encodeContinue({ revision, after: entry.key }, prefix);
        const count = filter.selectsAll ? { remainingItemCount: remaining } : {};
        return { metadata: { ...metadata, continue: next, ...count }, items };
      }
      if (page.remaining === 0) return { metadata, items };
      after = page.entries.at(-1)?.key;
    }
  }

  /**
   * Adds an object.
   *
   * @throws ApiError ERR_ALREADY_EXISTS, ERR_INVALID, ERR_NOT_FOUND when its namespace does not exist
   */
  async create(type: ResourceType<unknown>, sent: ApiObject, options: WriteOptions = {}): Promise<ApiObject> {
    const resource = this.#resourceOf(type);
    const object = prepareNew(resource, sent);
    const address = addressOf(object);
    const key = keyOf(resource, address);
    await this.#requireNamespace(resource, address);
    if (options.dryRun === true) {
      const { entry, revision } = await this.#store.get(key);
      if (entry !== undefined) throw nameTaken(resource, decodeObject(resource, entry));
      return withRevision(object, revision);
    }
    const result = await this.#store.put(key, encodeBounded(resource, object), {
      expectedRevision: 0,
      ...ttlOf(resource),
    });
    if (!result.written) {
      const { current } = result;
      throw nameTaken(resource, current === undefined ? object : decodeObject(resource, current));
    }
    return decodeObject(resource, result.entry);
  }

  /**
   * Replaces an object by what `change` makes of it; computed anew when somebody else writes in between, unless the
   * result names the version that it was made from. A change that changes nothing is not written.
   *
   * @throws ApiError ERR_NOT_FOUND, ERR_CONFLICT, ERR_INVALID, and what `change` throws
   */
  async update(
    type: ResourceType<unknown>,
    address: ObjectAddress,
    change: (current: ApiObject) => ApiObject | Promise<ApiObject>,
    options: UpdateOptions = {},
  ): Promise<ApiObject> {
    const resource = this.#resourceOf(type);
    const key = keyOf(resource, address);
    for (let attempt = 0; attempt < MAX_UPDATE_ATTEMPTS; attempt += 1) {
      const { entry } = await this.#store.get(key);
      if (entry === undefined) throw notFound(resource, address.name);
      const current = decodeObject(resource, entry);
      const next = prepareNext(resource, current, await change(current), options.scope ?? 'main');
      if (isSameJson(next, current) || options.dryRun === true) return next;
      if (isReadyToGo(resource, next)) {
        const gone = await this.#store.delete(key, { expectedRevision: entry.modRevision });
        if (gone.written) return withRevision(next, gone.revision);
        continue;
      }
      const options_ = { expectedRevision: entry.modRevision, ...ttlOf(resource) };
      const result = await this.#store.put(key, encodeBounded(resource, next), options_);
      if (result.written) return decodeObject(resource, result.entry);
    }
    throw staleVersion(resource, address.name);
  }

  /**
   * Removes an object, or marks it as being deleted when finalizers or a grace period stand before that.
   *
   * @throws ApiError ERR_NOT_FOUND, ERR_CONFLICT for preconditions, ERR_FORBIDDEN for lasting namespaces
   */
  async delete(
    type: ResourceType<unknown>,
    address: ObjectAddress,
    options: DeleteOptions & WriteOptions = {},
  ): Promise<Deletion> {
    const resource = this.#resourceOf(type);
    const key = keyOf(resource, address);
    for (let attempt = 0; attempt < MAX_UPDATE_ATTEMPTS; attempt += 1) {
      const { entry } = await this.#store.get(key);
      if (entry === undefined) throw notFound(resource, address.name);
      const current = decodeObject(resource, entry);
      if (resource.plural === 'namespaces') refuseLasting(address.name);
      const decision = decideDeletion(resource, current, options);
      if (options.dryRun === true || (!decision.isGone && decision.object === current)) return decision;
      const done = decision.isGone
        ? await this.#store.delete(key, { expectedRevision: entry.modRevision })
        : await this.#store.put(key, encodeObject(decision.object), { expectedRevision: entry.modRevision });
      if (done.written) return { ...decision, object: withRevision(decision.object, done.revision) };
    }
    throw staleVersion(resource, address.name);
  }

  /** @see watchObjects */
  watch(
    type: ResourceType<unknown>,
    query: ObjectQuery,
    start: WatchStart & { readonly signal?: AbortSignal },
  ): AsyncGenerator<ObjectWatchEvent, void> {
    return watchObjects(this.#store, this.#resourceOf(type), query, start);
  }

  /** The store's newest revision. */
  revision(): Promise<number> {
    return this.#store.revision();
  }

  /** Closes the store: watches end. */
  close(): Promise<void> {
    return this.#store.close();
  }

  #resourceOf(type: ResourceType<unknown>): Resource {
    const found = this.#resources.find(({ group, plural }) => group === type.group && plural === type.plural);
    if (found === undefined) throw new TypeError(`the registry holds no ${type.plural}`);
    return found;
  }

  async #requireNamespace(resource: Resource, address: ObjectAddress): Promise<void> {
    if (!resource.namespaced) return;
    const { namespace, name } = address;
    const { metadata } = await this.get(namespaceResource, { namespace: '', name: namespace });
    if (!metadata.deletionTimestamp) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    const causes = [
      {
        reason: 'NamespaceTerminating',
        message: `namespace ${namespace} is being terminated`,
        field: 'metadata.namespace',
      },
    ];
    throw forbidden(resource, name, why, causes);
  }
}

/** Whoever waits for a name is told when the object that has it is on its way out. */
function nameTaken(resource: Resource, { metadata }: ApiObject): ApiError {
  return metadata.deletionTimestamp ? stillGoing(resource, metadata.name) : alreadyExists(resource, metadata.name);
}

/** @throws ApiError ERR_FORBIDDEN */
function refuseLasting(name: string): void {
  if (!lastingNamespaces.includes(name)) return;
  throw forbidden(namespaceResource, name, 'this namespace may not be deleted');
}

/** A patch may be small and make a large object. @throws ExecPathError ERR_BODY_TOO_LARGE */
function encodeBounded(resource: Resource, object: ApiObject): string {
  const text = encodeObject(object);
  if (text.length <= MAX_OBJECT_CHARS) return text;
  throw new ExecPathError(
    'ERR_BODY_TOO_LARGE',
    `${resource.singular} "${object.metadata.name}" would have ${text.length} characters: the limit is ${MAX_OBJECT_CHARS}`,
    { hop: 'apiserver' },
  );
}

function ttlOf(resource: Resource): { ttlMs?: number } {
  return resource.ttlMs === undefined ? {} : { ttlMs: resource.ttlMs };
}

/** Where an object of the registry lives. */
export function addressOf(object: ApiObject): ObjectAddress {
  return { namespace: object.metadata.namespace ?? '', name: object.metadata.name };
}
