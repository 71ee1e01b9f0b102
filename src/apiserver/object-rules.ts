import { randomUUID } from 'node:crypto';
import { apiVersionOf } from '../kubeapi/index.ts';
import { badRequest, conflict, type FieldError, invalid, staleVersion } from './api-error.ts';
import { type ApiObject, isSameJson } from './api-object.ts';
import { generateName, metadataErrors } from './object-names.ts';
import type { Resource } from './resource.ts';
import { readSentObject } from './sent-object.ts';

/**
 * Which part of an object a write may change: `main` everything but status, `status` status and metadata alone,
 * `ephemeralContainers` that one list of a pod's spec alone, `finalize` the spec of a namespace; `all` is for the
 * server itself.
 */
export type UpdateScope = 'main' | 'status' | 'ephemeralContainers' | 'finalize' | 'all';

/** metav1.Time: RFC 3339 in whole seconds. */
export function apiTime(at: Date): string {
  return `${at.toISOString().slice(0, 19)}Z`;
}

/**
 * Makes what was sent into what is stored: a name, a uid, a time, defaults; what only the server may say is dropped.
 *
 * @throws ExecPathError ERR_BAD_REQUEST, ERR_INVALID
 */
export function prepareNew(resource: Resource, input: ApiObject): ApiObject {
  const { object: sent } = readSentObject(input, resource);
  if ((sent.metadata.resourceVersion ?? '') !== '') {
    throw badRequest('resourceVersion should not be set on objects to be created');
  }
  const { generateName: prefix, labels, annotations, ownerReferences, finalizers } = sent.metadata;
  const given = sent.metadata.name ?? '';
  const maxChars = resource.isNamedByLabel === true ? 63 : 253;
  const name = given === '' && prefix !== undefined && prefix !== '' ? generateName(prefix, maxChars) : given;
  const object: ApiObject = {
    ...sent,
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    metadata: {
      name,
      ...(prefix === undefined ? {} : { generateName: prefix }),
      ...(resource.namespaced ? { namespace: sent.metadata.namespace ?? '' } : {}),
      uid: randomUUID(),
      generation: 1,
      creationTimestamp: apiTime(new Date()),
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
      ...(ownerReferences === undefined ? {} : { ownerReferences }),
      ...(finalizers === undefined ? {} : { finalizers }),
    },
  };
  const filled = resource.applyDefaults?.(object) ?? object;
  const full = resource.prepareCreate?.(filled) ?? filled;
  throwInvalid(resource, full, [...wholeErrors(resource, full), ...(resource.validateNew?.(full) ?? [])]);
  return full;
}

/**
 * Makes what was sent over `current` into what is stored: each write changes its scope alone.
 *
 * @throws ExecPathError ERR_BAD_REQUEST, ERR_CONFLICT for another version or uid, ERR_INVALID
 */
export function prepareNext(resource: Resource, current: ApiObject, input: ApiObject, scope: UpdateScope): ApiObject {
  const { object: sent } = readSentObject(input, resource);
  const old = current.metadata;
  const { uid = '', resourceVersion = '' } = sent.metadata;
  if (resourceVersion !== '' && resourceVersion !== old.resourceVersion) throw staleVersion(resource, old.name);
  if (uid !== '' && uid !== old.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.uid ?? ''}`;
    throw conflict(resource, old.name, why);
  }
  const given = scope === 'status' ? (resource.prepareStatus?.(sent, current) ?? sent) : sent;
  const filled = resource.applyDefaults?.(given) ?? given;
  const body = bodyOf(resource, current, filled, scope);
  const isSpecChanged = !isSameJson(body['spec'], current['spec']);
  // Of what is sent with ephemeral containers upstream takes nothing else.
  const { labels, annotations, ownerReferences, finalizers } = scope === 'ephemeralContainers' ? old : given.metadata;
  const { labels: _, annotations: __, ownerReferences: ___, finalizers: ____, ...kept } = old;
  const next: ApiObject = {
    ...body,
    apiVersion: current.apiVersion,
    kind: current.kind,
    metadata: {
      ...kept,
      ...(isSpecChanged ? { generation: (old.generation ?? 0) + 1 } : {}),
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
      ...(ownerReferences === undefined ? {} : { ownerReferences }),
      ...(finalizers === undefined ? {} : { finalizers }),
    },
  };
  throwInvalid(resource, next, updateErrors(resource, { next, current, scope }));
  return next;
}

/**
 * A write is judged by what it may change: an object that was stored before there were the rules of today is looked
 * after, and goes, as others do.
 */
function updateErrors(
  resource: Resource,
  { next, current, scope }: { readonly next: ApiObject; readonly current: ApiObject; readonly scope: UpdateScope },
): readonly FieldError[] {
  const more = resource.validateAnyUpdate?.(next, current) ?? [];
  switch (scope) {
    case 'main': {
      const errors = isLetGo(resource, next, current)
        ? changedMetadataErrors(resource, next, current)
        : wholeErrors(resource, next);
      return [...errors, ...more, ...(resource.validateUpdate?.(next, current) ?? [])];
    }
    case 'ephemeralContainers':
      return [...wholeErrors(resource, next), ...more, ...(resource.validateEphemeral?.(next, current) ?? [])];
    case 'status':
    case 'finalize':
    case 'all':
      return [...changedMetadataErrors(resource, next, current), ...more];
  }
}

/** True for an object that is being deleted, and of which a write changes metadata alone: its finalizers, that is. */
function isLetGo(resource: Resource, next: ApiObject, current: ApiObject): boolean {
  if (!current.metadata.deletionTimestamp) return false;
  const before = resource.applyDefaults?.(current) ?? current;
  return isSameJson({ ...next, metadata: null }, { ...before, metadata: null });
}

function changedMetadataErrors(resource: Resource, next: ApiObject, current: ApiObject): readonly FieldError[] {
  const fields = ['labels', 'annotations', 'ownerReferences', 'finalizers'] as const;
  if (fields.every((field) => isSameJson(next.metadata[field], current.metadata[field]))) return [];
  return [...ownMetadataErrors(resource, next), ...(resource.validateAnnotations?.(next) ?? [])];
}

function ownMetadataErrors({ group, isNamedByLabel = false }: Resource, object: ApiObject): readonly FieldError[] {
  return metadataErrors(object, { isNamedByLabel, isCore: group === '' });
}

function wholeErrors(resource: Resource, object: ApiObject): readonly FieldError[] {
  return [...ownMetadataErrors(resource, object), ...(resource.validate?.(object) ?? [])];
}

/** Everything but metadata. */
function bodyOf(
  resource: Resource,
  current: ApiObject,
  sent: ApiObject,
  scope: UpdateScope,
): Readonly<Record<string, unknown>> {
  switch (scope) {
    case 'status':
      return { ...current, status: sent['status'] };
    case 'ephemeralContainers': {
      const { ephemeralContainers } = (sent['spec'] ?? {}) as { readonly ephemeralContainers?: unknown };
      return { ...current, spec: { ...(current['spec'] as object), ephemeralContainers } };
    }
    case 'finalize':
      return { ...current, spec: sent['spec'] };
    case 'all':
      return sent;
    case 'main':
      return {
        ...sent,
        ...(resource.hasStatus === true ? { status: current['status'] } : {}),
        ...(resource.keepsSpec === true ? { spec: current['spec'] } : {}),
      };
  }
}

function throwInvalid(resource: Resource, object: ApiObject, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalid(resource, object.metadata.name, errors);
}
