import { type Condition, pods } from '../kubeapi/index.ts';
import { badRequest, conflict, invalid } from './api-error.ts';
import { type ApiObject, objectsAt, textAt } from './api-object.ts';
import type { ObjectAddress } from './object-codec.ts';
import { dnsSubdomainFaults, faultsOf } from './object-names.ts';
import { apiTime } from './object-rules.ts';
import type { Registry, WriteOptions } from './registry.ts';

const bindings = { group: '', plural: 'pods/binding' };

/** What a v1.Binding says. */
export interface PodBinding extends WriteOptions {
  readonly node: string;
  /** The pod must still be this one. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Puts a pod on a node, once and for ever.
 *
 * @throws ApiError ERR_INVALID for what cannot be a node, ERR_NOT_FOUND for the pod, ERR_CONFLICT when it is on a node
 * already, is being deleted or gated
 * @see kubernetes pkg/registry/core/pod/storage, BindingREST
 */
export async function bindPod(registry: Registry, address: ObjectAddress, binding: PodBinding): Promise<ApiObject> {
  const { node, uid = '', resourceVersion = '', annotations = {}, dryRun = false } = binding;
  if (node === '') throw badRequest('target.name: Required value');
  // Upstream takes any text, and a pod that nobody can change any more comes of it.
  const faults = faultsOf('spec.nodeName', node, dnsSubdomainFaults(node));
  if (faults.length > 0) throw invalid(pods, address.name, faults);
  const refuse = (why: string): Error => conflict(bindings, address.name, why);
  const bind = (pod: ApiObject): ApiObject => {
    const { metadata } = pod;
    if (metadata.deletionTimestamp) throw refuse(`pod ${metadata.name} is being deleted, cannot be assigned to a host`);
    const at = textAt(pod, ['spec', 'nodeName']);
    if (at !== '') throw refuse(`pod ${metadata.name} is already assigned to node ${JSON.stringify(at)}`);
    if (objectsAt(pod, ['spec', 'schedulingGates']).length > 0) {
      throw refuse(`pod ${metadata.name} has non-empty .spec.schedulingGates`);
    }
    return {
      ...pod,
      metadata: {
        ...metadata,
        resourceVersion,
        uid: uid === '' ? (metadata.uid ?? '') : uid,
        ...(Object.keys(annotations).length === 0 && metadata.annotations === undefined
          ? {}
          : { annotations: { ...metadata.annotations, ...annotations } }),
      },
      spec: { ...(pod['spec'] as object), nodeName: node },
      status: withScheduled(pod, { status: 'True' }),
    };
  };
  return await registry.update(pods, address, bind, { scope: 'all', dryRun });
}

/** The status of a pod with its condition `PodScheduled` as given; its time moves when its status does. */
export function withScheduled(
  pod: ApiObject,
  condition: { readonly status: 'True' | 'False'; readonly reason?: string; readonly message?: string },
): unknown {
  const status = pod['status'] ?? {};
  const conditions = objectsAt(pod, ['status', 'conditions']) as unknown as Condition[];
  const before = conditions.find(({ type }) => type === 'PodScheduled');
  const lastTransitionTime = before?.status === condition.status ? before.lastTransitionTime : apiTime(new Date());
  const scheduled = { type: 'PodScheduled', lastProbeTime: null, lastTransitionTime, ...condition };
  return { ...status, conditions: [...conditions.filter((one) => one !== before), scheduled] };
}
