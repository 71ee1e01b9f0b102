import {
  csiNodes,
  customResourceDefinitions,
  events,
  leases,
  namespaces,
  nodes,
  serviceAccounts,
  services,
} from '../kubeapi/index.ts';
import { type ApiObject, textAt, valueAt } from './api-object.ts';
import { podResource } from './pod-resource.ts';
import { objectVerbs, type Resource } from './resource.ts';
import { eventErrors, leaseErrors, nodeErrors } from './validation/object-validation.ts';

/** How long events are kept, in ms: `--event-ttl`. */
export const EVENT_TTL_MS = 3_600_000;

const statusSubresource = (kind: string): { name: string; kind: string; verbs: readonly string[] } => ({
  name: 'status',
  kind,
  verbs: ['get', 'patch', 'update'],
});

/** Holds every namespace until its content is gone: upstream's name. */
const NAMESPACE_FINALIZER = 'kubernetes';

export const namespaceResource: Resource = {
  ...namespaces,
  singular: 'namespace',
  shortNames: ['ns'],
  // All at once can only be a mistake.
  verbs: objectVerbs.filter((verb) => verb !== 'deletecollection'),
  isNamedByLabel: true,
  hasStatus: true,
  keepsSpec: true,
  subresources: [{ name: 'finalize', kind: 'Namespace', verbs: ['update'] }, statusSubresource('Namespace')],
  selectableFields: (object) => ({ 'status.phase': textAt(object, ['status', 'phase']) }),
  applyDefaults: (object): ApiObject => ({
    ...object,
    metadata: {
      ...object.metadata,
      labels: { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name },
    },
  }),
  prepareCreate: (object): ApiObject => ({
    ...object,
    spec: { finalizers: [NAMESPACE_FINALIZER] },
    status: { phase: 'Active' },
  }),
  isHeld: (object) => ((valueAt(object, ['spec', 'finalizers']) ?? []) as readonly unknown[]).length > 0,
  prepareDeletion: (object) => ({ ...object, status: { phase: 'Terminating' } }),
};

export const nodeResource: Resource = {
  ...nodes,
  singular: 'node',
  shortNames: ['no'],
  hasStatus: true,
  subresources: [statusSubresource('Node')],
  selectableFields: (object) => {
    const { spec } = object as { readonly spec?: { readonly unschedulable?: unknown } };
    return { 'spec.unschedulable': String(spec?.unschedulable === true) };
  },
  validate: nodeErrors,
};

export const leaseResource: Resource = { ...leases, singular: 'lease', createsOnUpdate: true, validate: leaseErrors };

export const serviceAccountResource: Resource = {
  ...serviceAccounts,
  singular: 'serviceaccount',
  shortNames: ['sa'],
};

/** None, ever: a real kubelet starts no pod of its apiserver before it has listed the services. */
export const serviceResource: Resource = {
  ...services,
  singular: 'service',
  shortNames: ['svc'],
  categories: ['all'],
  verbs: ['get', 'list', 'watch'],
  // The kubelet leaves out those without an address.
  selectableFields: (object) => ({
    'spec.clusterIP': textAt(object, ['spec', 'clusterIP']),
    'spec.type': textAt(object, ['spec', 'type']),
  }),
};

/** A real kubelet writes the one of its node, and ends when it may not. */
export const csiNodeResource: Resource = { ...csiNodes, singular: 'csinode' };

/** None, ever: kubectl looks here for a kind that discovery does not list, before it says that there is none. */
export const customResourceDefinitionResource: Resource = {
  ...customResourceDefinitions,
  singular: 'customresourcedefinition',
  verbs: ['get', 'list', 'watch'],
  isUnlisted: true,
};

const involvedObjectFields = ['apiVersion', 'fieldPath', 'kind', 'name', 'namespace', 'resourceVersion', 'uid'];

/** @param ttlMs how long an event outlives its last write */
export function eventResource(ttlMs = EVENT_TTL_MS): Resource {
  return {
    ...events,
    singular: 'event',
    shortNames: ['ev'],
    createsOnUpdate: true,
    ttlMs,
    // Upstream's type has it always.
    applyDefaults: (event): ApiObject => ({ involvedObject: {}, ...event }),
    validate: eventErrors,
    selectableFields: (object) => ({
      ...Object.fromEntries(
        involvedObjectFields.map((field) => [`involvedObject.${field}`, textAt(object, ['involvedObject', field])]),
      ),
      reason: textAt(object, ['reason']),
      reportingComponent: textAt(object, ['reportingComponent']),
      source: textAt(object, ['source', 'component']) || textAt(object, ['reportingComponent']),
      type: textAt(object, ['type']),
    }),
  };
}

/** Everything that the registry holds, in the order in which discovery lists what it lists. */
export function allResources(options: { readonly eventTtlMs?: number } = {}): readonly Resource[] {
  return [
    eventResource(options.eventTtlMs),
    namespaceResource,
    nodeResource,
    podResource,
    serviceAccountResource,
    serviceResource,
    leaseResource,
    csiNodeResource,
    customResourceDefinitionResource,
  ];
}
