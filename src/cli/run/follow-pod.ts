import { ExecPathError } from '../../common/errors.ts';
import { listWatch, type Pod, pods } from '../../kubeapi/index.ts';
import type { ClusterCall } from '../with-client.ts';

interface OnError {
  /** Told each failure; the pod is looked for again until the signal comes. */
  readonly onError: (error: Error) => void;
}

/**
 * Follows one pod until it is as it must be.
 *
 * @param made as it was created: another pod of its name is not it
 * @returns the pod as it was then; undefined when the call's signal came first
 * @throws ExecPathError ERR_NOT_FOUND when the pod is gone
 */
export async function podUntil(
  made: Pod,
  isDone: (pod: Pod) => boolean,
  { client, namespace, signal, onError }: Pick<ClusterCall, 'client' | 'namespace' | 'signal'> & OnError,
): Promise<Pod | undefined> {
  const { name, uid } = made.metadata;
  const followed = { namespace, fieldSelector: `metadata.name=${name}`, signal, onError };
  for await (const event of listWatch(client, pods, followed)) {
    const [pod] = event.type === 'SYNC' ? event.items : event.type === 'DELETED' ? [] : [event.object];
    if (pod === undefined || pod.metadata.uid !== uid) {
      throw new ExecPathError('ERR_NOT_FOUND', `pods ${JSON.stringify(name)} not found: somebody has deleted it`, {
        hop: 'apiserver',
      });
    }
    if (isDone(pod)) return pod;
  }
  return undefined;
}

/** Nothing of it will run again. */
export function hasEnded({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

/** Its containers run, and are ready for whoever comes. */
export function isReady({ status }: Pod): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return status?.phase === 'Running' && ready?.status === 'True';
}

/** What a pod that does not run is waiting for, as its node says it; undefined when it says nothing. */
export function reasonOfWaiting({ status }: Pod): string | undefined {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const waiting = all.find(({ state }) => state?.waiting?.reason !== undefined);
  if (waiting !== undefined) {
    const { reason, message } = waiting.state?.waiting ?? {};
    return [`container ${waiting.name}`, reason, message].filter((text) => (text ?? '') !== '').join(': ');
  }
  const condition = status?.conditions?.find((one) => one.status === 'False' && (one.message ?? '') !== '');
  return condition === undefined ? status?.message : `${condition.reason}: ${condition.message}`;
}
