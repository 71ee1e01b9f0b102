import type { ExecPathError } from '../common/errors.ts';
import type { ConfigMap, Container, EnvFromSource, EnvVar, EnvVarSource, KeySelector, Pod } from '../kubeapi/index.ts';
import { manifestError } from './manifest-error.ts';
import { amountOf, fieldOf, type PodAddresses } from './pod-fields.ts';
import type { PodReferences } from './pod-references.ts';
import { serviceVariables } from './service-variables.ts';

/** Where the values of variables come from that the pod does not say itself. */
export interface EnvironmentSources {
  readonly addresses: PodAddresses;
  readonly references: PodReferences;
  /** Nobody waits for the container any more. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The environment of a container in order: `envFrom` first, then `env`, in which `$(NAME)` is replaced by variables that
 * stand before it or tell of services, then those of services that have no other value.
 *
 * @throws ExecPathError ERR_MANIFEST for a source that this kubelet does not have and for a key that is not there;
 * what {@link PodReferences} throws
 */
export async function environmentOf(
  pod: Pod,
  container: Container,
  sources: EnvironmentSources,
): Promise<ReadonlyMap<string, string>> {
  const variables = new Map<string, string>();
  const ofServices = serviceVariables(await sources.references.services(pod, sources.signal));
  for (const source of container.envFrom ?? []) {
    for (const [name, value] of await allOf(pod, container, source, sources)) variables.set(name, value);
  }
  for (const variable of container.env ?? []) {
    const { name, value = '', valueFrom } = variable;
    if (valueFrom === undefined) variables.set(name, expand(value, new Map([...ofServices, ...variables])));
    else {
      const found = await valueOf(pod, container, { ...variable, valueFrom }, sources);
      if (found !== undefined) variables.set(name, found);
    }
  }
  for (const [name, value] of ofServices) if (!variables.has(name)) variables.set(name, value);
  return variables;
}

const REFERENCE = /\$(\$|\(([^)]*)\))/g;

/**
 * Replaces `$(NAME)` by the variable's value and `$$` by `$`; a name that is not there stays as it stands.
 *
 * @see kubernetes third_party/forked/golang/expansion
 */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replaceAll(REFERENCE, (whole, rest: string, name: string | undefined) =>
    rest === '$' ? '$' : (variables.get(name ?? '') ?? whole),
  );
}

/**
 * As {@link expand}, where every name has to have a value.
 *
 * @throws ExecPathError ERR_MANIFEST, in upstream's words, with the names that have none
 * @see kubernetes pkg/kubelet/container/helpers.go, ExpandContainerVolumeMounts
 */
export function expandAll(text: string, variables: ReadonlyMap<string, string>): string {
  const missing = new Set<string>();
  const expanded = text.replaceAll(REFERENCE, (_, rest: string, name = '') => {
    if (rest === '$') return '$';
    const value = variables.get(name) ?? '';
    if (value === '') missing.add(name);
    return value;
  });
  if (missing.size > 0) throw manifestError(`missing value for ${[...missing].sort().join(', ')}`);
  return expanded;
}

/** Every key of a config map or secret that can be a variable's name, behind the prefix. */
async function allOf(
  pod: Pod,
  container: Container,
  source: EnvFromSource,
  { references, signal }: EnvironmentSources,
): Promise<readonly (readonly [string, string])[]> {
  const { prefix = '', configMapRef, secretRef } = source;
  if (configMapRef === undefined && secretRef === undefined) {
    throw unsupported(`envFrom of container ${container.name}`, source);
  }
  const entries =
    configMapRef === undefined
      ? decoded((await references.secret(pod, secretRef?.name ?? '', { ...secretRef, signal }))?.data)
      : Object.entries(
          (await references.configMap(pod, configMapRef.name ?? '', { ...configMapRef, signal }))?.data ?? {},
        );
  return entries.map(([key, value]) => [`${prefix}${key}`, value] as const).filter(([name]) => isVariableName(name));
}

/** Printable ASCII without `=`. @see kubernetes apimachinery IsRelaxedEnvVarName */
function isVariableName(name: string): boolean {
  return /^[ -<>-~]+$/.test(name);
}

function decoded(data: Readonly<Record<string, string>> | undefined): [string, string][] {
  return Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]);
}

/** @returns undefined for a key that is not there and need not be */
async function valueOf(
  pod: Pod,
  container: Container,
  { name, valueFrom }: EnvVar & { readonly valueFrom: EnvVarSource },
  sources: EnvironmentSources,
): Promise<string | undefined> {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
  if (configMapKeyRef !== undefined) return await configMapValue(pod, configMapKeyRef, sources);
  if (secretKeyRef !== undefined) return await secretValue(pod, secretKeyRef, sources);
  const found =
    fieldRef !== undefined
      ? fieldOf(pod, fieldRef.fieldPath, sources.addresses)
      : resourceFieldRef !== undefined
        ? amountOf(containerNamed(pod, resourceFieldRef.containerName) ?? container, resourceFieldRef)
        : undefined;
  if (found !== undefined) return found;
  throw unsupported(`environment variable ${name} of container ${container.name}`, valueFrom);
}

function containerNamed(pod: Pod, name: string | undefined): Container | undefined {
  return [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find((container) => container.name === name);
}

async function configMapValue(
  pod: Pod,
  selector: KeySelector,
  { references, signal }: EnvironmentSources,
): Promise<string | undefined> {
  const { name = '', key } = selector;
  const map: ConfigMap | undefined = await references.configMap(pod, name, { ...selector, signal });
  return map?.data?.[key] ?? absent(pod, 'ConfigMap', selector);
}

async function secretValue(
  pod: Pod,
  selector: KeySelector,
  { references, signal }: EnvironmentSources,
): Promise<string | undefined> {
  const { name = '', key } = selector;
  const value = (await references.secret(pod, name, { ...selector, signal }))?.data?.[key];
  return value === undefined ? absent(pod, 'Secret', selector) : Buffer.from(value, 'base64').toString();
}

/** @throws ExecPathError in upstream's words unless the key is optional */
function absent({ metadata }: Pod, kind: string, { name, key, optional }: KeySelector): undefined {
  if (optional === true) return undefined;
  const message = `couldn't find key ${key} in ${kind} ${metadata.namespace ?? 'default'}/${name}`;
  throw manifestError(message);
}

function unsupported(what: string, value: object): ExecPathError {
  const kind = Object.keys(value).find((key) => key !== 'name' && key !== 'prefix') ?? 'its kind';
  const message = `${what}: podwire's kubelet knows no such ${kind}`;
  return manifestError(message);
}
