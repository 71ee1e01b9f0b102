import { chooseContainer, findPod } from '../client/index.ts';
import { ExecPathError } from '../common/errors.ts';
import { KubeClient, type Pod, pods, type Transport } from '../kubeapi/index.ts';
import type { FanOutTarget } from './fan-out.ts';

export interface TargetQuery {
  readonly namespace: string;
  readonly pod: string | undefined;
  readonly selector: string | undefined;
  readonly container: string | undefined;
}

/** Pods that a selector may mean; a prompt for more is a mistake in the selector. */
const MAX_TARGETS = 500;

/**
 * The containers that a line runs in now: the named pod's, or those of every running pod with the labels.
 *
 * @throws ExecPathError ERR_NOT_FOUND when there is none; what the API refuses
 */
export async function findTargets(
  api: Transport,
  query: TargetQuery,
  signal?: AbortSignal,
): Promise<readonly FanOutTarget[]> {
  const { namespace, pod: name, selector, container } = query;
  if (name !== undefined) {
    const pod = await findPod(api, { namespace, pod: name }, { signal });
    return [{ namespace, pod: name, container: chooseContainer(pod, container).container }];
  }
  const client = new KubeClient(api);
  try {
    const { items, metadata } = await client.list(pods, {
      namespace,
      labelSelector: selector,
      limit: MAX_TARGETS,
      signal,
    });
    if ((metadata.continue ?? '') !== '') {
      throw new ExecPathError(
        'ERR_BAD_REQUEST',
        `the selector ${JSON.stringify(selector)} means more than ${MAX_TARGETS} pods`,
        { hop: 'client' },
      );
    }
    const running = items.filter(isRunning);
    if (running.length > 0) {
      return running.map((pod) => ({
        namespace,
        pod: pod.metadata.name,
        container: chooseContainer(pod, container).container,
      }));
    }
    throw new ExecPathError(
      'ERR_NOT_FOUND',
      `no running pod in namespace ${namespace} has the labels ${selector ?? ''}`,
      { hop: 'apiserver' },
    );
  } finally {
    client.close();
  }
}

function isRunning({ status, metadata }: Pod): boolean {
  return status?.phase === 'Running' && (metadata.deletionTimestamp ?? '') === '';
}
