import { ExecPathError } from '../common/errors.ts';
import { type Container, type EnvVar, type Pod, parseQuantity } from '../kubeapi/index.ts';

/** What only the kubelet knows of a pod. */
export interface PodAddresses {
  readonly hostIP: string;
  readonly podIPs: readonly string[];
}

/** The longest chain of a field's key: `metadata.labels['KEY']`. */
const keyedField = /^metadata\.(labels|annotations)\['(.+)'\]$/;

/**
 * The environment of a container in order, with `$(NAME)` replaced by variables that stand before it.
 *
 * @throws ExecPathError ERR_MANIFEST for a source that this kubelet does not have
 */
export function environmentOf(pod: Pod, container: Container, addresses: PodAddresses): ReadonlyMap<string, string> {
  const variables = new Map<string, string>();
  for (const variable of container.env ?? []) {
    const value = valueOf(pod, container, variable, addresses);
    variables.set(variable.name, variable.valueFrom === undefined ? expand(value, variables) : value);
  }
  const [source] = container.envFrom ?? [];
  if (source !== undefined) throw unsupported(`envFrom of container ${container.name}`, source);
  return variables;
}

/**
 * Replaces `$(NAME)` by the variable's value and `$$` by `$`; a name that is not there stays as it stands.
 *
 * @see kubernetes third_party/forked/golang/expansion
 */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$(\$|\(([^)]*)\))/g, (whole, rest: string, name: string | undefined) =>
    rest === '$' ? '$' : (variables.get(name ?? '') ?? whole),
  );
}

function valueOf(pod: Pod, container: Container, { name, value, valueFrom }: EnvVar, addresses: PodAddresses): string {
  if (valueFrom === undefined) return value ?? '';
  const { fieldRef, resourceFieldRef } = valueFrom;
  const found =
    fieldRef !== undefined
      ? fieldOf(pod, fieldRef.fieldPath, addresses)
      : resourceFieldRef !== undefined
        ? amountOf(container, resourceFieldRef)
        : undefined;
  if (found !== undefined) return found;
  throw unsupported(`environment variable ${name} of container ${container.name}`, valueFrom);
}

function fieldOf({ metadata, spec }: Pod, path: string, { hostIP, podIPs }: PodAddresses): string | undefined {
  const [, map, key = ''] = keyedField.exec(path) ?? [];
  if (map !== undefined) return metadata[map === 'labels' ? 'labels' : 'annotations']?.[key] ?? '';
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace ?? 'default',
    'metadata.uid': metadata.uid ?? '',
    'spec.nodeName': spec.nodeName ?? '',
    'spec.serviceAccountName': spec.serviceAccountName ?? '',
    'status.hostIP': hostIP,
    'status.hostIPs': hostIP,
    'status.podIP': podIPs[0] ?? '',
    'status.podIPs': podIPs.join(','),
  };
  return Object.hasOwn(fields, path) ? fields[path] : undefined;
}

/** `limits.cpu` and the like in whole units of the divisor, rounded up. */
function amountOf(
  container: Container,
  { resource, divisor = '1' }: { readonly resource: string; readonly divisor?: string },
): string | undefined {
  const [which, name = ''] = resource.split('.');
  if (which !== 'limits' && which !== 'requests') return undefined;
  const amount = container.resources?.[which]?.[name];
  if (amount === undefined) return undefined;
  return String(Math.ceil(parseQuantity(amount) / (parseQuantity(divisor) || 1)));
}

function unsupported(what: string, value: object): ExecPathError {
  const kind = Object.keys(value).find((key) => key !== 'name' && key !== 'prefix') ?? 'its kind';
  const message = `${what}: podwire's kubelet knows plain values and fields of the pod, not ${kind}`;
  return new ExecPathError('ERR_MANIFEST', message, { hop: 'kubelet' });
}
