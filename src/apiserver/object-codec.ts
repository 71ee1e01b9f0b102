import { apiVersionOf } from '../kubeapi/index.ts';
import type { StoreEntry } from '../store/index.ts';
import type { ApiObject } from './api-object.ts';
import type { Resource } from './resource.ts';

/** Where an object lives; `namespace` is empty for kinds that have none. */
export interface ObjectAddress {
  readonly namespace: string;
  readonly name: string;
}

/** `/registry/pods/default/web`, `/registry/minions/n1`. Names are checked before: none holds a slash. */
export function keyOf(resource: Resource, { namespace, name }: ObjectAddress): string {
  return `${prefixOf(resource, namespace)}${name}`;
}

/** What nodes were called when upstream chose its keys. */
const STORED_NODES = 'minions';

/** What the keys of a collection start with; all namespaces when `namespace` is empty. */
export function prefixOf(resource: Resource, namespace: string): string {
  const base = `/registry/${resource.plural === 'nodes' ? STORED_NODES : resource.plural}/`;
  return resource.namespaced && namespace !== '' ? `${base}${namespace}/` : base;
}

/** The stored text of an object. Its `resourceVersion` is the entry's revision and is not stored. */
export function encodeObject(object: ApiObject): string {
  const { resourceVersion: _, ...metadata } = object.metadata;
  return JSON.stringify({ ...object, metadata });
}

const decoded = new WeakMap<StoreEntry, ApiObject>();

/** The object of an entry. Entries never change, so each is parsed once while anybody holds it. */
export function decodeObject(resource: Resource, entry: StoreEntry): ApiObject {
  const known = decoded.get(entry);
  if (known !== undefined) return known;
  const object = withRevision(
    { ...(JSON.parse(entry.value) as ApiObject), apiVersion: apiVersionOf(resource), kind: resource.kind },
    entry.modRevision,
  );
  decoded.set(entry, object);
  return object;
}

/** The same object with another `resourceVersion`, as a deletion shows it. */
export function withRevision(object: ApiObject, revision: number): ApiObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
}
