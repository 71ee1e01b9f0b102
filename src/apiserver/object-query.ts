import { badRequest } from './api-error.ts';
import type { ApiObject } from './api-object.ts';
import { type FieldSelector, parseFieldSelector } from './field-selector.ts';
import { parseLabelSelector } from './label-selector.ts';
import type { Resource } from './resource.ts';

/** Which objects of a collection are meant. */
export interface ObjectQuery {
  /** Empty or absent: all namespaces. */
  readonly namespace?: string;
  /** `app=web,tier in (a,b)` */
  readonly labelSelector?: string;
  /** `spec.nodeName=n1,status.phase!=Failed` */
  readonly fieldSelector?: string;
}

/** An {@link ObjectQuery} that has been read. */
export interface ObjectFilter {
  readonly namespace: string;
  /** False when it selects by label or field: then nobody knows how many objects remain. */
  readonly selectsAll: boolean;
  matches(object: ApiObject): boolean;
}

/**
 * Reads the selectors of a query.
 *
 * @throws ExecPathError ERR_BAD_REQUEST for a selector that cannot be read, or a field that cannot be selected by
 */
export function filterOf(resource: Resource, query: ObjectQuery): ObjectFilter {
  const labels = parseLabelSelector(query.labelSelector ?? '');
  const fields = parseFieldSelector(query.fieldSelector ?? '');
  const known = ['metadata.name', 'metadata.namespace', ...Object.keys(resource.selectableFields?.(nothing) ?? {})];
  for (const field of fields.fields) {
    if (!known.includes(field)) throw badRequest(`field label not supported: ${field}`);
  }
  const selectsAll = fields.isEmpty && (query.labelSelector ?? '').trim() === '';
  return {
    namespace: query.namespace ?? '',
    selectsAll,
    matches: (object) => selectsAll || (labels(object.metadata.labels) && matchesFields(resource, fields, object)),
  };
}

/** Every resource gives all its fields for every object: this one shows their names. */
const nothing: ApiObject = { apiVersion: '', kind: '', metadata: { name: '' } };

function matchesFields(resource: Resource, selector: FieldSelector, object: ApiObject): boolean {
  if (selector.isEmpty) return true;
  return selector.matches({
    'metadata.name': object.metadata.name,
    'metadata.namespace': object.metadata.namespace ?? '',
    ...resource.selectableFields?.(object),
  });
}
