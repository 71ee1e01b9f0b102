import type {
  Container,
  ContainerState,
  ContainerStatus,
  EnvVar,
  Pod,
  Probe,
  ResourceList,
  ResourceRequirements,
} from '../../kubeapi/index.ts';
import { amountOf, amountText, milliOf, wholeOf } from './amount.ts';
import { compareTexts } from './compare-texts.ts';
import type { Description } from './description.ts';
import { moment } from './moment.ts';

/** The three lists of a pod's containers, each with its statuses. */
export function describeContainers(text: Description, pod: Pod): void {
  const { spec, status = {} } = pod;
  const list = (title: string, containers: readonly Container[], statuses: readonly ContainerStatus[] = []): void => {
    text.line(0, `${title}:${containers.length === 0 ? ' <none>' : ''}`);
    for (const container of containers) {
      describeContainer(text, { pod, container, status: statuses.find(({ name }) => name === container.name) });
    }
  };
  if ((spec.initContainers ?? []).length > 0) {
    list('Init Containers', spec.initContainers ?? [], status.initContainerStatuses);
  }
  list('Containers', spec.containers, status.containerStatuses);
  if ((spec.ephemeralContainers ?? []).length > 0) {
    list('Ephemeral Containers', spec.ephemeralContainers ?? [], status.ephemeralContainerStatuses);
  }
}

interface Described {
  readonly pod: Pod;
  readonly container: Container;
  readonly status: ContainerStatus | undefined;
}

function describeContainer(text: Description, { pod, container, status }: Described): void {
  text.line(1, `${container.name}:`);
  if (status !== undefined) text.line(2, 'Container ID:', status.containerID ?? '');
  text.line(2, 'Image:', container.image ?? '');
  if (status !== undefined) text.line(2, 'Image ID:', status.imageID);
  describePorts(text, container);
  const profile = container.securityContext?.seccompProfile;
  if (profile !== undefined) text.line(2, 'SeccompProfile:', profile.type);
  if (profile?.type === 'Localhost') text.line(3, 'LocalhostProfile:', profile.localhostProfile ?? '');
  for (const [title, words = []] of [
    ['Command:', container.command],
    ['Args:', container.args],
  ] as const) {
    if (words.length > 0) text.line(2, title);
    for (const line of words.flatMap((word) => word.split('\n'))) text.line(3, line);
  }
  if (status !== undefined) describeStatus(text, status);
  describeResources(text, container.resources ?? {}, 2);
  for (const [title, probe] of [
    ['Liveness:', container.livenessProbe],
    ['Readiness:', container.readinessProbe],
    ['Startup:', container.startupProbe],
  ] as const) {
    if (probe !== undefined) text.line(2, title, probeText(probe));
  }
  describeEnvironment(text, pod, container);
  describeMounts(text, container);
}

function describePorts(text: Description, { ports = [] }: Container): void {
  const shown = (numbers: readonly number[]): string =>
    numbers.map((port, index) => `${port}/${ports[index]?.protocol ?? ''}`).join(', ');
  const own = shown(ports.map(({ containerPort }) => containerPort));
  const host = shown(ports.map(({ hostPort = 0 }) => hostPort));
  text.line(2, ports.length > 1 ? 'Ports:' : 'Port:', own || '<none>');
  text.line(2, ports.length > 1 ? 'Host Ports:' : 'Host Port:', host || '<none>');
}

function describeStatus(text: Description, status: ContainerStatus): void {
  describeState(text, 'State:', status.state ?? {});
  if (status.lastState?.terminated !== undefined) describeState(text, 'Last State:', status.lastState);
  text.line(2, 'Ready:', status.ready ? 'True' : 'False');
  text.line(2, 'Restart Count:', status.restartCount);
}

function describeState(text: Description, title: string, { running, waiting, terminated }: ContainerState): void {
  if (running !== undefined) {
    text.line(2, title, 'Running');
    text.line(3, 'Started:', moment(running.startedAt));
  } else if (terminated === undefined) {
    text.line(2, title, 'Waiting');
    if (waiting?.reason) text.line(3, 'Reason:', waiting.reason);
  } else {
    text.line(2, title, 'Terminated');
    if (terminated.reason) text.line(3, 'Reason:', terminated.reason);
    if (terminated.message) text.line(3, 'Message:', terminated.message);
    text.line(3, 'Exit Code:', terminated.exitCode);
    if ((terminated.signal ?? 0) > 0) text.line(3, 'Signal:', terminated.signal ?? 0);
    text.line(3, 'Started:', moment(terminated.startedAt));
    text.line(3, 'Finished:', moment(terminated.finishedAt));
  }
}

/** Limits and requests. */
export function describeResources(text: Description, { limits, requests }: ResourceRequirements, level: number): void {
  const list = (title: string, resources: ResourceList = {}): void => {
    const names = Object.keys(resources).sort();
    if (names.length > 0) text.line(level, title);
    for (const name of names) text.line(level + 1, `${name}:`, amountText(amountOf(resources[name])));
  };
  list('Limits:', limits);
  list('Requests:', requests);
}

function probeText(probe: Probe): string {
  const { initialDelaySeconds = 0, timeoutSeconds = 0, periodSeconds = 0 } = probe;
  const { successThreshold = 0, failureThreshold = 0 } = probe;
  const times = `delay=${initialDelaySeconds}s timeout=${timeoutSeconds}s period=${periodSeconds}s`;
  const attributes = `${times} #success=${successThreshold} #failure=${failureThreshold}`;
  if (probe.exec !== undefined) return `exec [${(probe.exec.command ?? []).join(' ')}] ${attributes}`;
  if (probe.httpGet !== undefined) {
    const { scheme = '', host = '', port, path = '' } = probe.httpGet;
    const shownHost = host.includes(':') ? `[${host}]` : host;
    return `http-get ${scheme.toLowerCase()}://${shownHost}:${port}${path} ${attributes}`;
  }
  if (probe.tcpSocket !== undefined) {
    return `tcp-socket ${probe.tcpSocket.host ?? ''}:${probe.tcpSocket.port} ${attributes}`;
  }
  return probe.grpc === undefined
    ? `unknown ${attributes}`
    : `grpc <pod>:${probe.grpc.port} ${probe.grpc.service ?? ''} ${attributes}`;
}

function describeEnvironment(text: Description, pod: Pod, container: Container): void {
  const { env = [], envFrom = [] } = container;
  if (envFrom.length > 0) text.line(2, 'Environment Variables from:');
  for (const { prefix = '', configMapRef, secretRef } of envFrom) {
    const source = configMapRef ?? secretRef;
    const kind = configMapRef === undefined ? (secretRef === undefined ? '' : 'Secret') : 'ConfigMap';
    const shown = prefix === '' ? kind : `${kind} with prefix '${prefix}'`;
    text.line(3, source?.name ?? '', shown, `Optional: ${source?.optional ?? false}`);
  }
  if (env.length === 0) text.line(2, 'Environment:', '<none>');
  else text.line(2, 'Environment:');
  for (const variable of env) describeVariable(text, variable, { pod, container });
}

function describeVariable(
  text: Description,
  { name, value = '', valueFrom }: EnvVar,
  { pod, container }: { readonly pod: Pod; readonly container: Container },
): void {
  if (valueFrom === undefined) {
    const [first = '', ...more] = value.split('\n');
    text.line(3, `${name}:`, first);
    for (const line of more) text.line(3, '', line);
    return;
  }
  const { fieldRef, resourceFieldRef, secretKeyRef, configMapKeyRef } = valueFrom;
  if (fieldRef !== undefined) {
    const { apiVersion = '', fieldPath } = fieldRef;
    // Of all fields kubectl looks up these two.
    const { name: podName, namespace = '' } = pod.metadata;
    const known = fieldPath === 'metadata.name' ? podName : fieldPath === 'metadata.namespace' ? namespace : '';
    text.line(3, `${name}:`, `${known} (${apiVersion}:${fieldPath})`);
  } else if (resourceFieldRef !== undefined) {
    const { resource } = resourceFieldRef;
    text.line(3, `${name}:`, `${resourceText(container, resourceFieldRef)} (${resource})`);
  } else if (secretKeyRef !== undefined) {
    const { key, name: secret = '', optional = false } = secretKeyRef;
    text.line(3, `${name}:`, `<set to the key '${key}' in secret '${secret}'>`, `Optional: ${optional}`);
  } else if (configMapKeyRef !== undefined) {
    const { key, name: map = '', optional = false } = configMapKeyRef;
    text.line(3, `${name}:`, `<set to the key '${key}' of config map '${map}'>`, `Optional: ${optional}`);
  }
}

/** How often the divisor goes into a container's resource, rounded up; '' for a resource that is not known. */
function resourceText(
  { resources }: Container,
  { resource, divisor }: { readonly resource: string; readonly divisor?: string },
): string {
  const [, which = '', name = ''] = /^(limits|requests)\.(.+)$/.exec(resource) ?? [];
  if (!/^(?:cpu|memory|ephemeral-storage|hugepages-.+)$/.test(name)) return '';
  const amount = amountOf(resources?.[which === 'limits' ? 'limits' : 'requests']?.[name]);
  const given = amountOf(divisor);
  const unit = given.nano === 0n ? amountOf(1) : given;
  const count = name === 'cpu' ? milliOf(amount) / milliOf(unit) : wholeOf(amount) / wholeOf(unit);
  const shown = String(Math.ceil(count));
  return shown === '0' && /^limits\.(?:cpu|memory)$/.test(resource) ? 'node allocatable' : shown;
}

function describeMounts(text: Description, { volumeMounts = [] }: Container): void {
  if (volumeMounts.length === 0) text.line(2, 'Mounts:', '<none>');
  else text.line(2, 'Mounts:');
  for (const mount of [...volumeMounts].sort((one, other) => compareTexts(one.mountPath, other.mountPath))) {
    const subPath = mount.subPath ? `,path=${JSON.stringify(mount.subPath)}` : '';
    text.line(3, `${mount.mountPath} from ${mount.name} (${mount.readOnly === true ? 'ro' : 'rw'}${subPath})`);
  }
}
