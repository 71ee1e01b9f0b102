/** Annotation and label names that the kubelet puts on what it runs (cri.md 5). */
export const podLabels = {
  name: 'io.kubernetes.pod.name',
  namespace: 'io.kubernetes.pod.namespace',
  uid: 'io.kubernetes.pod.uid',
  container: 'io.kubernetes.container.name',
} as const;

/** Annotation of sandboxes with the name of the node whose kubelet made them: no other sandbox is ever removed. */
export const STARTED_BY = 'podwire.local/started-by';
