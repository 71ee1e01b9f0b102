import { ExecPathError } from '../common/errors.ts';
import { KubeClient, type List, type Pod, pods, type Transport } from '../kubeapi/index.ts';

/** A pod that can be exec'd into, and the container that was chosen. */
export interface ContainerChoice {
  readonly container: string;
  /** Set when the pod has several containers and nobody named one: what kubectl prints on stderr. */
  readonly notice: string | undefined;
}

export interface PodName {
  readonly namespace: string;
  readonly pod: string;
}

/** Names the container that an exec without `-c` means. */
const DEFAULT_CONTAINER_ANNOTATION = 'kubectl.kubernetes.io/default-container';

/**
 * Reads the pod: from an apiserver, or from the list that a kubelet keeps.
 *
 * @throws ApiStatusError, ExecPathError ERR_NOT_FOUND and what KubeClient throws
 */
export async function findPod(
  api: Transport,
  { namespace, pod: name }: PodName,
  options: { readonly signal?: AbortSignal | undefined; readonly timeoutMs?: number | undefined } = {},
): Promise<Pod> {
  const client = new KubeClient(api);
  try {
    if (api.hop !== 'kubelet') return await client.get(pods, name, { namespace, ...options });
    const list = await client.call<List<Pod>>('GET', '/pods', options);
    const found = list.items.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
    if (found !== undefined) return found;
    throw new ExecPathError(
      'ERR_NOT_FOUND',
      `pods ${JSON.stringify(name)} not found: the kubelet at ${api.server.host} runs no pod of this name in namespace ${JSON.stringify(namespace)}`,
      { hop: 'kubelet' },
    );
  } finally {
    client.close();
  }
}

/**
 * The container of `pod` that an exec goes to: the named one, else the annotation's, else the first.
 *
 * @throws ExecPathError ERR_BAD_REQUEST for a pod that has ended or a container that it does not have
 * @see wire.md 7.2
 */
export function chooseContainer(pod: Pod, named?: string): ContainerChoice {
  const { phase } = pod.status ?? {};
  if (phase === 'Succeeded' || phase === 'Failed') {
    throw refuse(`cannot exec into a container in a completed pod; current phase is ${phase}`);
  }
  const all = [
    ...pod.spec.containers.map(({ name }) => ({ name, kind: '' })),
    ...(pod.spec.ephemeralContainers ?? []).map(({ name }) => ({ name, kind: ' (ephem)' })),
    ...(pod.spec.initContainers ?? []).map(({ name }) => ({ name, kind: ' (init)' })),
  ];
  const known = (name: string): boolean => all.some((container) => container.name === name);
  if (named !== undefined && named !== '') {
    if (known(named)) return { container: named, notice: undefined };
    const names = all.map(({ name }) => name).join(', ');
    throw refuse(`container ${named} is not valid for pod ${pod.metadata.name}: it has ${names}`);
  }
  const annotated = pod.metadata.annotations?.[DEFAULT_CONTAINER_ANNOTATION] ?? '';
  if (annotated !== '' && known(annotated)) return { container: annotated, notice: undefined };
  const first = all[0];
  if (first === undefined) throw refuse(`pod ${pod.metadata.name} has no container`);
  const listed = all.map(({ name, kind }) => name + kind).join(', ');
  const notice = all.length > 1 ? `Defaulted container "${first.name}" out of: ${listed}` : undefined;
  return { container: first.name, notice };
}

function refuse(message: string): ExecPathError {
  return new ExecPathError('ERR_BAD_REQUEST', message, { hop: 'client' });
}
