import { ExecPathError } from '../common/errors.ts';
import type { ConfigMap } from './config-map.ts';
import type { Event } from './event.ts';
import type { Lease } from './lease.ts';
import type { LimitRange } from './limit-range.ts';
import type { Namespace } from './namespace.ts';
import type { Node } from './node.ts';
import type { KubeObject } from './object-meta.ts';
import type { Pod } from './pod.ts';
import type { ResourceQuota } from './resource-quota.ts';
import type { Secret } from './secret.ts';
import type { Service } from './service.ts';
import type { ServiceAccount } from './service-account.ts';

/** A kind of the API and where it lives; `T` is the shape of its objects. */
export interface ResourceType<T> {
  /** `''` is the core group. */
  readonly group: string;
  readonly version: string;
  /** As in the path: `pods`. */
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Never set: binds `T` for the compiler. */
  readonly shape?: T;
}

const core = { group: '', version: 'v1' } as const;

export const pods: ResourceType<Pod> = { ...core, plural: 'pods', kind: 'Pod', namespaced: true };
export const nodes: ResourceType<Node> = { ...core, plural: 'nodes', kind: 'Node', namespaced: false };
export const namespaces: ResourceType<Namespace> = {
  ...core,
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};
export const events: ResourceType<Event> = { ...core, plural: 'events', kind: 'Event', namespaced: true };
export const serviceAccounts: ResourceType<ServiceAccount> = {
  ...core,
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};
export const leases: ResourceType<Lease> = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

export const configMaps: ResourceType<ConfigMap> = {
  ...core,
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
export const secrets: ResourceType<Secret> = { ...core, plural: 'secrets', kind: 'Secret', namespaced: true };
export const services: ResourceType<Service> = { ...core, plural: 'services', kind: 'Service', namespaced: true };
export const resourceQuotas: ResourceType<ResourceQuota> = {
  ...core,
  plural: 'resourcequotas',
  kind: 'ResourceQuota',
  namespaced: true,
};
export const limitRanges: ResourceType<LimitRange> = {
  ...core,
  plural: 'limitranges',
  kind: 'LimitRange',
  namespaced: true,
};
export const csiNodes: ResourceType<KubeObject> = {
  group: 'storage.k8s.io',
  version: 'v1',
  plural: 'csinodes',
  kind: 'CSINode',
  namespaced: false,
};

export const customResourceDefinitions: ResourceType<KubeObject> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};

/** What objects of the type carry: `v1`, `coordination.k8s.io/v1`. */
export function apiVersionOf({ group, version }: Pick<ResourceType<unknown>, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}

export interface ResourceAddress {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  /** `status`, `log`, `exec` … */
  readonly subresource?: string | undefined;
}

/**
 * The path of an object, or of a collection when there is no name; of all namespaces when there is no namespace.
 *
 * @throws ExecPathError ERR_BAD_REQUEST when a segment would change the path, or a named object lacks its namespace
 */
export function resourcePath(type: ResourceType<unknown>, address: ResourceAddress = {}): string {
  const { namespace, name, subresource } = address;
  if (type.namespaced && name !== undefined && namespace === undefined) {
    throw new ExecPathError('ERR_BAD_REQUEST', `${type.plural} ${JSON.stringify(name)} needs a namespace`);
  }
  const base = type.group === '' ? ['api', type.version] : ['apis', type.group, type.version];
  const scope = type.namespaced && namespace !== undefined ? ['namespaces', namespace] : [];
  const object = name === undefined ? [] : [name];
  const parts = [...base, ...scope, type.plural, ...object, ...(subresource?.split('/') ?? [])];
  return `/${parts.map((part) => pathSegment(part)).join('/')}`;
}

/** One escaped path segment: never empty, never a step up or down the path. */
function pathSegment(text: string): string {
  if (text === '' || text === '.' || text === '..' || text.includes('/')) {
    throw new ExecPathError('ERR_BAD_REQUEST', `${JSON.stringify(text)} cannot be a segment of an API path`);
  }
  return encodeURIComponent(text);
}
