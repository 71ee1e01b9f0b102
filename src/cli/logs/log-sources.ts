import { ExecPathError } from '../../common/errors.ts';
import type { Pod } from '../../kubeapi/index.ts';
import type { Io } from '../io.ts';

/** The log of one container. */
export interface LogSource {
  readonly namespace: string | undefined;
  readonly pod: string;
  readonly container: string;
}

export interface ContainerSelection {
  readonly container: string | undefined;
  readonly allContainers: boolean;
}

/** Names the container whose log is meant when nobody names one. */
const DEFAULT_CONTAINER_ANNOTATION = 'kubectl.kubernetes.io/default-container';

/**
 * The containers of a pod whose logs are meant; stderr is told of a choice that nobody made. Words and order are kubectl's.
 *
 * @throws ExecPathError ERR_BAD_REQUEST for a container that the pod does not have
 */
export function logSourcesOf(pod: Pod, { container: named, allContainers }: ContainerSelection, io: Io): LogSource[] {
  const { containers, initContainers = [], ephemeralContainers = [] } = pod.spec;
  const { name, namespace } = pod.metadata;
  const names = allContainers
    ? [...initContainers, ...containers, ...ephemeralContainers].map((one) => one.name)
    : [named ?? annotated(pod, io) ?? first(pod, io)];
  const known = new Set([...containers, ...initContainers, ...ephemeralContainers].map((one) => one.name));
  return names.map((container) => {
    if (known.has(container)) return { namespace, pod: name, container };
    throw new ExecPathError('ERR_BAD_REQUEST', `container ${container} is not valid for pod ${name}`, {
      hop: 'client',
    });
  });
}

function annotated({ metadata, spec }: Pod, io: Io): string | undefined {
  const wanted = metadata.annotations?.[DEFAULT_CONTAINER_ANNOTATION] ?? '';
  if (wanted === '') return undefined;
  const all = [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])];
  if (all.some(({ name }) => name === wanted)) return wanted;
  io.err.write(`Default container name ${JSON.stringify(wanted)} not found in pod ${metadata.name}\n`);
  return undefined;
}

function first({ spec }: Pod, io: Io): string {
  const name = spec.containers[0]?.name ?? '';
  const all = [
    ...spec.containers.map((one) => one.name),
    ...(spec.ephemeralContainers ?? []).map((one) => `${one.name} (ephem)`),
    ...(spec.initContainers ?? []).map((one) => `${one.name} (init)`),
  ];
  if (all.length > 1) io.err.write(`Defaulted container ${JSON.stringify(name)} out of: ${all.join(', ')}\n`);
  return name;
}
