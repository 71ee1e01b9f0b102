import { pods, qosClassOf } from '../kubeapi/index.ts';
import { type ApiObject, textAt, valueAt } from './api-object.ts';
import { admitNewPod, withAdmissionDefaults } from './pod-admission.ts';
import { withOwnLabelsSelected } from './pod-affinity-keys.ts';
import { DEFAULT_GRACE_SECONDS, withPodDefaults } from './pod-defaults.ts';
import type { Resource } from './resource.ts';
import { podAnnotationErrors } from './validation/annotation-validation.ts';
import { podStatusErrors } from './validation/pod-status-validation.ts';
import { ephemeralUpdateErrors, mirrorUpdateErrors, podUpdateErrors } from './validation/pod-update-rules.ts';
import { newPodErrors, podErrors } from './validation/pod-validation.ts';

/** The longest grace, in seconds: 68 years. */
const MAX_GRACE_SECONDS = 2_147_483_647;

const connectVerbs = ['create', 'get'];

export const podResource: Resource = {
  ...pods,
  singular: 'pod',
  shortNames: ['po'],
  categories: ['all'],
  hasStatus: true,
  subresources: [
    { name: 'attach', kind: 'PodAttachOptions', verbs: connectVerbs },
    { name: 'binding', kind: 'Binding', verbs: ['create'] },
    { name: 'ephemeralcontainers', kind: 'Pod', verbs: ['get', 'patch', 'update'] },
    { name: 'eviction', kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] },
    { name: 'exec', kind: 'PodExecOptions', verbs: connectVerbs },
    { name: 'log', kind: 'Pod', verbs: ['get'] },
    { name: 'portforward', kind: 'PodPortForwardOptions', verbs: connectVerbs },
    { name: 'status', kind: 'Pod', verbs: ['get', 'patch', 'update'] },
  ],
  selectableFields: (pod) => ({
    'spec.nodeName': textAt(pod, ['spec', 'nodeName']),
    'spec.restartPolicy': textAt(pod, ['spec', 'restartPolicy']),
    'spec.schedulerName': textAt(pod, ['spec', 'schedulerName']),
    'spec.serviceAccountName': textAt(pod, ['spec', 'serviceAccountName']),
    'spec.hostNetwork': String(valueAt(pod, ['spec', 'hostNetwork']) === true),
    'status.phase': textAt(pod, ['status', 'phase']),
    'status.podIP': textAt(pod, ['status', 'podIP']),
    'status.nominatedNodeName': textAt(pod, ['status', 'nominatedNodeName']),
  }),
  applyDefaults: withAllDefaults,
  prepareCreate: (pod) => {
    admitNewPod(pod);
    // A kubelet that shows its own pods says their class, which upstream takes too.
    const qosClass = textAt(pod, ['status', 'qosClass']) || qosClassOf(pod['spec'] ?? {});
    return { ...withOwnLabelsSelected(pod), status: { phase: 'Pending', qosClass } };
  },
  prepareStatus: withOwnersAndClass,
  validate: podErrors,
  validateAnnotations: podAnnotationErrors,
  validateNew: newPodErrors,
  // Pods may be stored that came before there were these defaults.
  validateUpdate: (next, current) => podUpdateErrors(next, withAllDefaults(current)),
  validateEphemeral: (next, current) => ephemeralUpdateErrors(next, withAllDefaults(current)),
  validateAnyUpdate: (next, current) => [...mirrorUpdateErrors(next, current), ...podStatusErrors(next, current)],
  deletionGraceSeconds: graceOf,
};

function withAllDefaults(pod: ApiObject): ApiObject {
  return withAdmissionDefaults(withPodDefaults(pod));
}

/** Kubelets send neither as it is. @see kubernetes pkg/registry/core/pod/strategy.go, podStatusStrategy */
function withOwnersAndClass(sent: ApiObject, current: ApiObject): ApiObject {
  const { ownerReferences: _, ...metadata } = sent.metadata;
  const { ownerReferences } = current.metadata;
  const [qosClass, before] = [sent, current].map((pod) => textAt(pod, ['status', 'qosClass']));
  return {
    ...sent,
    metadata: ownerReferences === undefined ? metadata : { ...metadata, ownerReferences },
    ...(qosClass === '' && before !== '' ? { status: { ...(sent['status'] as object), qosClass: before } } : {}),
  };
}

/** A pod that nobody runs, or that has ended, needs nobody to stop it. Less than nothing is one second upstream. */
function graceOf(pod: ApiObject, asked: number | undefined): number {
  const phase = textAt(pod, ['status', 'phase']);
  if (textAt(pod, ['spec', 'nodeName']) === '' || phase === 'Succeeded' || phase === 'Failed') return 0;
  const own = valueAt(pod, ['spec', 'terminationGracePeriodSeconds']);
  const grace = asked ?? (typeof own === 'number' ? own : DEFAULT_GRACE_SECONDS);
  return grace < 0 ? 1 : Math.min(grace, MAX_GRACE_SECONDS);
}
