import { createHash } from 'node:crypto';
import { MIRROR_ANNOTATION, type Pod } from '../kubeapi/index.ts';
import { podLabels } from './pod-labels.ts';
import type { PodView } from './runtime-view.ts';

/** Says where a pod came from; `runtime`: it ran already when the kubelet looked. */
export const CONFIG_SOURCE = 'kubernetes.io/config.source';

/** Hash of a static pod's manifest. */
export const CONFIG_HASH = 'kubernetes.io/config.hash';

/**
 * The API object of a pod that somebody else started in the runtime: as much of its spec as the runtime tells.
 *
 * A sandbox without a uid gets one made from its id, in the form of a UUID, so that it stays the same for its life.
 */
export function adoptedPod(view: PodView, nodeName: string): Pod {
  const labels = Object.fromEntries(
    Object.entries(view.sandbox.labels).filter(([key]) => !Object.values<string>(podLabels).includes(key)),
  );
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: view.name,
      namespace: view.namespace,
      uid: view.uid || uuidOf(view.sandbox.id),
      creationTimestamp: new Date(Number(view.sandbox.createdAt / 1_000_000n)).toISOString().replace(/\.\d+Z$/, 'Z'),
      labels,
      annotations: { ...view.sandbox.annotations, [CONFIG_SOURCE]: 'runtime', [MIRROR_ANNOTATION]: view.sandbox.id },
    },
    spec: {
      nodeName,
      containers: [...view.containers].map(([name, container]) => ({ name, image: container.image?.image ?? '' })),
      restartPolicy: 'Never',
      enableServiceLinks: false,
    },
  };
}

function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
