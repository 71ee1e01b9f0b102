import {
  ApiStatusError,
  type KubeClient,
  MIRROR_ANNOTATION,
  type ObjectOptions,
  type Pod,
  pods,
} from '../kubeapi/index.ts';
import { CONFIG_HASH } from './adopted-pod.ts';

/** Is the object a picture of what a node runs by itself? */
export function isMirror(pod: Pod): boolean {
  return pod.metadata.annotations?.[MIRROR_ANNOTATION] !== undefined;
}

/** The API object that shows a pod of this node. */
export function mirrorOf(pod: Pod): Pod {
  const { annotations = {}, uid = '' } = pod.metadata;
  const mark = annotations[MIRROR_ANNOTATION] ?? annotations[CONFIG_HASH] ?? uid;
  return { ...pod, metadata: { ...pod.metadata, annotations: { ...annotations, [MIRROR_ANNOTATION]: mark } } };
}

/** Is `there` a mirror that nobody deletes, with the labels and annotations that it was given? */
export function isIntact(there: Pod, { metadata }: Pod): boolean {
  const { labels, annotations, deletionTimestamp } = there.metadata;
  return (
    !deletionTimestamp &&
    covers({ labels, annotations }, { labels: metadata.labels, annotations: metadata.annotations })
  );
}

/** Has the mirror `there` the spec that it was given? */
export function shows(there: Pod, { spec }: Pod): boolean {
  return covers(there.spec, spec);
}

/** Deletes at once the very object that was seen. That it is gone, or another one has its name now, is as good. */
export async function deleteMirror(client: KubeClient, { metadata }: Pod, options: ObjectOptions): Promise<void> {
  const { name, uid } = metadata;
  const preconditions = uid === undefined ? {} : { uid };
  try {
    await client.delete(pods, name, { ...options, gracePeriodSeconds: 0, preconditions });
  } catch (thrown) {
    if (!(thrown instanceof ApiStatusError && [404, 409].includes(thrown.httpStatus))) throw thrown;
  }
}

/** Does `whole` have all of `part`? The apiserver adds what a pod leaves open, and nothing to a list. */
function covers(whole: unknown, part: unknown): boolean {
  if (Array.isArray(part)) {
    return Array.isArray(whole) && whole.length === part.length && part.every((one, at) => covers(whole[at], one));
  }
  if (typeof part !== 'object' || part === null) return part === undefined || whole === part;
  const fields = (typeof whole === 'object' && whole !== null ? whole : {}) as Readonly<Record<string, unknown>>;
  return Object.entries(part).every(([name, value]) => covers(fields[name], value));
}
