import { type KubeClient, type KubeObject, listWatch, type ResourceType } from '../kubeapi/index.ts';

/** The objects that are followed: those of a type, in a namespace, with these labels and fields. */
export interface Followed {
  readonly type: ResourceType<KubeObject>;
  /** Absent: every namespace, or none. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

/**
 * Follows objects until one of them, or that there is none, is what is waited for.
 *
 * @param isDone asked of each object that is there and each that changes; undefined for one that is gone, and when
 *   there is none at first
 * @returns false when the signal ended the wait
 */
export async function followUntil(
  client: KubeClient,
  { type, namespace, ...selection }: Followed,
  isDone: (object: KubeObject | undefined) => boolean,
  signal: AbortSignal,
): Promise<boolean> {
  const place = namespace === undefined ? {} : { namespace };
  for await (const event of listWatch(client, type, { ...selection, ...place, signal })) {
    if (event.type === 'SYNC') {
      if (event.items.length === 0 ? isDone(undefined) : event.items.some(isDone)) return true;
    } else if (isDone(event.type === 'DELETED' ? undefined : event.object)) return true;
  }
  return false;
}
