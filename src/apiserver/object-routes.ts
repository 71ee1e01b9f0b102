import { apiVersionOf, type ListMeta } from '../kubeapi/index.ts';
import { sendJson } from './answer.ts';
import { ApiError, methodNotAllowed, successStatus, unknownPath } from './api-error.ts';
import type { ApiObject } from './api-object.ts';
import { EventLines } from './event-lines.ts';
import type { Exchange } from './exchange.ts';
import { listOptionsOf, watchQueryOf } from './list-query.ts';
import { answerFormOf } from './media-negotiation.ts';
import { ObjectWriter, type WriteTarget } from './object-writer.ts';
import { addressOf, type ObjectList, type Registry } from './registry.ts';
import type { BodyOptions } from './request-body.ts';
import type { ResourceRequest } from './request-info.ts';
import type { Resource } from './resource.ts';
import { includeObjectOf, tableOf } from './tables.ts';
import { serveWatch, type WatchLimits } from './watch-stream.ts';

export interface ObjectRouteOptions {
  readonly registry: Registry;
  readonly body?: BodyOptions;
  readonly watch?: WatchLimits;
}

/** The requests for objects that the registry holds. */
export class ObjectRoutes {
  readonly #registry: Registry;
  readonly #writer: ObjectWriter;
  readonly #watch: WatchLimits;
  readonly #lines = new EventLines();

  constructor({ registry, body, watch = {} }: ObjectRouteOptions) {
    this.#registry = registry;
    this.#writer = new ObjectWriter(registry, body);
    this.#watch = watch;
  }

  /** Answers one request. @throws what becomes its Status */
  async serve(exchange: Exchange, info: ResourceRequest, resource: Resource): Promise<void> {
    // Kinds without namespaces are not found in one; an object of the others not outside.
    if (!resource.namespaced && info.namespace !== '') throw unknownPath();
    if (resource.namespaced && info.namespace === '' && info.name !== '') throw unknownPath();
    if (resource.verbs?.includes(info.verb) === false) throw methodNotAllowed();
    if (info.name === '') await this.#serveCollection(exchange, info, resource);
    else await this.#serveObject(exchange, info, resource);
  }

  async #serveCollection(exchange: Exchange, info: ResourceRequest, resource: Resource): Promise<void> {
    const isScoped = !resource.namespaced || info.namespace !== '';
    switch (info.verb) {
      case 'list':
        return this.#list(exchange, info, resource);
      case 'watch':
        return serveWatch(exchange, {
          registry: this.#registry,
          resource,
          query: watchQueryOf(exchange.query, info.namespace),
          limits: this.#watch,
          lines: this.#lines,
        });
      case 'create': {
        if (!isScoped) throw methodNotAllowed();
        sendObject(exchange, 201, resource, await this.#writer.create(exchange, resource, info.namespace));
        return undefined;
      }
      case 'deletecollection': {
        if (!isScoped) throw methodNotAllowed();
        return this.#deleteAll(exchange, info, resource);
      }
      default:
        throw methodNotAllowed();
    }
  }

  async #serveObject(exchange: Exchange, info: ResourceRequest, resource: Resource): Promise<void> {
    if (resource.plural === 'pods' && (info.subresource === 'binding' || info.subresource === 'eviction')) {
      return this.#servePodRequest(exchange, info);
    }
    const target: WriteTarget = {
      resource,
      address: { namespace: info.namespace, name: info.name },
      scope: scopeOf(info, resource),
    };
    switch (info.verb) {
      case 'get':
        return sendObject(exchange, 200, resource, await this.#registry.get(resource, target.address));
      case 'update': {
        const { object, isNew } = await this.#writer.replace(exchange, target);
        return sendObject(exchange, isNew ? 201 : 200, resource, object);
      }
      case 'patch':
        return sendObject(exchange, 200, resource, await this.#writer.patch(exchange, target));
      case 'delete':
        if (target.scope !== 'main') throw methodNotAllowed();
        return this.#delete(exchange, target);
      default:
        throw methodNotAllowed();
    }
  }

  /** Binding and eviction: what is sent is no pod, and asks for something to be done with one. */
  async #servePodRequest(exchange: Exchange, { verb, namespace, name, subresource }: ResourceRequest): Promise<void> {
    if (verb !== 'create') throw methodNotAllowed();
    const address = { namespace, name };
    if (subresource === 'binding') await this.#writer.bind(exchange, address);
    else await this.#writer.evict(exchange, address);
    sendJson(exchange.response, 201, successStatus());
  }

  async #list(exchange: Exchange, info: ResourceRequest, resource: Resource): Promise<void> {
    const form = answerFormOf(exchange.request.headers.accept ?? '');
    const { metadata, items } = await this.#listed(exchange, info, resource);
    if (form.form === 'table') {
      const include = includeObjectOf(exchange.query);
      sendJson(exchange.response, 200, tableOf(resource, items, { ...form, metadata, include }));
    } else sendJson(exchange.response, 200, listOf(resource, metadata, items));
  }

  /** The objects, or the page of them, that the query names. */
  async #listed({ query }: Exchange, { namespace }: ResourceRequest, resource: Resource): Promise<ObjectList> {
    const { atLeast, ...options } = listOptionsOf(query, namespace);
    const newest = await this.#registry.revision();
    if (atLeast > newest) throw tooLargeVersion(atLeast, newest);
    return this.#registry.list(resource, options);
  }

  async #delete(exchange: Exchange, { resource, address }: WriteTarget): Promise<void> {
    const options = await this.#writer.deleteOptions(exchange);
    const { object, isGone } = await this.#registry.delete(resource, address, options);
    // A pod is shown as it was last; of anything else that is gone there is nothing to show.
    if (!isGone || resource.deletionGraceSeconds !== undefined) return sendObject(exchange, 200, resource, object);
    const { uid } = object.metadata;
    const group = resource.group === '' ? {} : { group: resource.group };
    const details = { name: address.name, ...group, kind: resource.plural, ...(uid === undefined ? {} : { uid }) };
    sendJson(exchange.response, 200, successStatus(details));
  }

  async #deleteAll(exchange: Exchange, info: ResourceRequest, resource: Resource): Promise<void> {
    const options = await this.#writer.deleteOptions(exchange);
    const { metadata, items } = await this.#listed(exchange, info, resource);
    const gone: ApiObject[] = [];
    for (const item of items) {
      try {
        gone.push((await this.#registry.delete(resource, addressOf(item), options)).object);
      } catch (error) {
        const isGone = error instanceof ApiError && error.code === 'ERR_NOT_FOUND';
        if (!isGone) throw error;
      }
    }
    sendJson(exchange.response, 200, listOf(resource, metadata, gone));
  }
}

/** @throws ApiError ERR_NOT_FOUND for a subresource that is not there */
function scopeOf({ subresource }: ResourceRequest, resource: Resource): WriteTarget['scope'] {
  if (subresource === '') return 'main';
  if (subresource === 'status' && resource.hasStatus === true) return 'status';
  if (subresource === 'finalize' && resource.plural === 'namespaces') return 'finalize';
  if (subresource === 'ephemeralcontainers' && resource.plural === 'pods') return 'ephemeralContainers';
  throw unknownPath();
}

function sendObject(exchange: Exchange, status: number, resource: Resource, object: ApiObject): void {
  const form = answerFormOf(exchange.request.headers.accept ?? '');
  if (form.form === 'object') {
    sendJson(exchange.response, status, object);
    return;
  }
  const metadata = { resourceVersion: object.metadata.resourceVersion ?? '' };
  const include = includeObjectOf(exchange.query);
  sendJson(exchange.response, status, tableOf(resource, [object], { ...form, metadata, include }));
}

function listOf(resource: Resource, metadata: ListMeta, objects: readonly ApiObject[]): unknown {
  const items = objects.map(withoutType);
  return { kind: `${resource.kind}List`, apiVersion: apiVersionOf(resource), metadata, items };
}

/** The list says what they are. */
function withoutType(object: ApiObject): unknown {
  const { apiVersion: _, kind: __, ...item } = object;
  return item;
}

/** Clients that find this cause list again without a version. */
export function tooLargeVersion(asked: number, newest: number): ApiError {
  const message = `Too large resource version: ${asked}, current: ${newest}`;
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
  return new ApiError('ERR_REVISION_FUTURE', message, { causes, retryAfterSeconds: 1 });
}
