import { isJsonObject, type JsonObject } from '../common/json-object.ts';
import { applyMergePatch, pods } from '../kubeapi/index.ts';
import { ApiError, badRequest } from './api-error.ts';
import { type ApiObject, textAt } from './api-object.ts';
import type { Exchange } from './exchange.ts';
import { fieldValidationOf, judgeFields, judgePatchedFields } from './field-validation.ts';
import { applyJsonPatch } from './json-patch.ts';
import { admitFromNode } from './node-admission.ts';
import type { ObjectAddress } from './object-codec.ts';
import type { UpdateScope } from './object-rules.ts';
import { bindPod } from './pod-binding.ts';
import type { Registry } from './registry.ts';
import {
  type BodyOptions,
  mediaTypeOf,
  parseJson,
  readBody,
  readObject,
  readObjectBody,
  unknownMediaType,
} from './request-body.ts';
import type { Resource } from './resource.ts';
import { readPatchedObject, readSentAs, readSentObject } from './sent-object.ts';
import { applyStrategicMergePatch } from './strategic-merge-patch.ts';
import { type AskedDeletion, deleteOptionsOf, isDryRun, readDeleteOptions } from './write-options.ts';

/** How a patch is applied, by the media type of the body. */
const patchTypes: Readonly<Record<string, (target: unknown, patch: unknown, kind: string) => unknown>> = {
  'application/json-patch+json': applyJsonPatch,
  'application/merge-patch+json': applyMergePatch,
  'application/strategic-merge-patch+json': applyStrategicMergePatch,
};

/** One write that a request asks for. */
export interface WriteTarget {
  readonly resource: Resource;
  readonly address: ObjectAddress;
  readonly scope: UpdateScope;
}

/** How an object is sent. */
interface Sending {
  readonly resource: Resource;
  /** Of the path. */
  readonly namespace: string;
  /** How upstream calls the options in the query. */
  readonly options: 'CreateOptions' | 'UpdateOptions';
}

/** Does what POST, PUT, PATCH and DELETE ask for, as the user who asks. */
export class ObjectWriter {
  readonly #registry: Registry;
  readonly #body: BodyOptions;

  constructor(registry: Registry, body: BodyOptions = {}) {
    this.#registry = registry;
    this.#body = body;
  }

  /** @throws ApiError, ExecPathError as the registry, the body and admission do */
  async create(exchange: Exchange, resource: Resource, namespace: string): Promise<ApiObject> {
    const { query, user } = exchange;
    const sent = await this.#sentObject(exchange, { resource, namespace, options: 'CreateOptions' });
    admitFromNode(user, { resource, next: sent });
    return this.#registry.create(resource, sent, { dryRun: isDryRun(query, 'CreateOptions') });
  }

  /** @returns `isNew` when the object did not exist and its kind allows that */
  async replace(
    exchange: Exchange,
    { resource, address, scope }: WriteTarget,
  ): Promise<{ object: ApiObject; isNew: boolean }> {
    const { query, user } = exchange;
    const { namespace } = address;
    const sent = await this.#sentObject(exchange, { resource, namespace, options: 'UpdateOptions' });
    checkName(sent, address);
    const dryRun = isDryRun(query, 'UpdateOptions');
    const change = (current: ApiObject): ApiObject => {
      admitFromNode(user, { resource, next: sent, current, scope });
      return sent;
    };
    try {
      return { object: await this.#registry.update(resource, address, change, { scope, dryRun }), isNew: false };
    } catch (error) {
      const isMissing = error instanceof ApiError && error.code === 'ERR_NOT_FOUND';
      if (!isMissing || resource.createsOnUpdate !== true) throw error;
      const { resourceVersion: _, ...metadata } = sent.metadata;
      admitFromNode(user, { resource, next: sent });
      return { object: await this.#registry.create(resource, { ...sent, metadata }, { dryRun }), isNew: true };
    }
  }

  async patch(
    { request, response, query, user }: Exchange,
    { resource, address, scope }: WriteTarget,
  ): Promise<ApiObject> {
    const type = mediaTypeOf(request);
    const apply = Object.hasOwn(patchTypes, type) ? patchTypes[type] : undefined;
    if (apply === undefined) throw refusedPatchType(type);
    const judgement = { directive: fieldValidationOf(query, 'PatchOptions'), response };
    const dryRun = isDryRun(query, 'PatchOptions');
    const body = await readBody(request, this.#body);
    const patch = parseJson(body);
    // The algorithm would put anything else in the object's place.
    if (apply === applyMergePatch && !isJsonObject(patch)) throw badRequest('a merge patch must be a JSON object');
    const isStrategic = apply === applyStrategicMergePatch;
    const sent = { json: body.toString(), isList: apply === applyJsonPatch, isStrategic };
    return this.#registry.update(
      resource,
      address,
      (current) => {
        const patched = apply(current, patch, resource.kind);
        const { object: next, unknownFields } = readPatchedObject(patched, resource, { patch, isStrategic });
        judgePatchedFields(unknownFields, { ...sent, shown: isStrategic ? patch : patched }, judgement);
        checkNamespace(next, address.namespace);
        checkName(next, address);
        admitFromNode(user, { resource, next, current, scope });
        return next;
      },
      { scope, dryRun },
    );
  }

  /** Does what a Binding says. */
  async bind({ request, query }: Exchange, address: ObjectAddress): Promise<void> {
    const sent = await this.#sentRequest(request, 'Binding', address);
    const { uid = '', resourceVersion = '', annotations = {} } = sent.metadata;
    const node = textAt(sent, ['target', 'name']);
    const dryRun = isDryRun(query, 'CreateOptions');
    await bindPod(this.#registry, address, { node, uid, resourceVersion, annotations, dryRun });
  }

  /** Does what an Eviction asks for: nothing here forbids one, for there are no disruption budgets. */
  async evict({ request, query }: Exchange, address: ObjectAddress): Promise<void> {
    const sent = await this.#sentRequest(request, 'Eviction', address);
    isDryRun(query, 'CreateOptions');
    await this.#registry.delete(pods, address, deleteOptionsOf((sent['deleteOptions'] ?? {}) as JsonObject, query));
  }

  /** What is sent to a subresource of a pod. @throws ExecPathError ERR_BAD_REQUEST */
  async #sentRequest(request: Exchange['request'], kind: string, { name }: ObjectAddress): Promise<ApiObject> {
    const body = await readObject(request, this.#body);
    if (body === undefined) throw badRequest('the body is empty: an object is needed');
    const { object } = readSentAs(body, kind);
    const given = object.metadata.name ?? '';
    if (given !== name) throw badRequest(`name in URL does not match name in ${kind} object`);
    return object;
  }

  /** The query's or, stronger, the body's DeleteOptions. @throws ExecPathError ERR_BAD_REQUEST, ApiError ERR_INVALID */
  async deleteOptions({ request, query }: Exchange): Promise<AskedDeletion> {
    return readDeleteOptions(await readObject(request, this.#body), query);
  }

  async #sentObject(
    { request, response, query }: Exchange,
    { resource, namespace, options }: Sending,
  ): Promise<ApiObject> {
    const directive = fieldValidationOf(query, options);
    const body = await readObjectBody(request, this.#body);
    if (body === undefined) throw badRequest('the body is empty: an object is needed');
    const { object: sent, unknownFields } = readSentObject(body.object, resource);
    judgeFields({ unknownFields, json: body.json }, resource, { directive, response });
    checkNamespace(sent, namespace);
    return namespace === '' ? sent : { ...sent, metadata: { ...sent.metadata, namespace } };
  }
}

/** One that says nothing is where it is sent to. */
function checkNamespace({ metadata }: ApiObject, namespace: string): void {
  const given = metadata.namespace ?? '';
  if (given === '' || given === namespace) return;
  throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
}

function checkName(sent: ApiObject, { name }: ObjectAddress): void {
  const given = sent.metadata.name ?? '';
  if (given === name) return;
  throw badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`);
}

function refusedPatchType(type: string): Error {
  if (type === 'application/apply-patch+yaml') {
    return unknownMediaType(
      `${type} (server-side apply is not there: use kubectl apply without --server-side)`,
      Object.keys(patchTypes),
    );
  }
  return unknownMediaType(type, Object.keys(patchTypes));
}
