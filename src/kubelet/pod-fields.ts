import { type Container, type Pod, quantityNanos } from '../kubeapi/index.ts';
import { machineResources } from './node-object.ts';

/** What only the kubelet knows of a pod. */
export interface PodAddresses {
  readonly hostIP: string;
  readonly podIPs: readonly string[];
}

/** The longest chain of a field's key: `metadata.labels['KEY']`. */
const keyedField = /^metadata\.(labels|annotations)\['(.+)'\]$/;

/**
 * What a `fieldRef` of the downward API names.
 *
 * @param addresses absent where the pod has none yet: in its volumes
 * @returns undefined for a path that names nothing
 */
export function fieldOf({ metadata, spec }: Pod, path: string, addresses?: PodAddresses): string | undefined {
  const [, map, key = ''] = keyedField.exec(path) ?? [];
  if (map !== undefined) return metadata[map === 'labels' ? 'labels' : 'annotations']?.[key] ?? '';
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace ?? 'default',
    'metadata.uid': metadata.uid ?? '',
    'spec.nodeName': spec.nodeName ?? '',
    'spec.serviceAccountName': spec.serviceAccountName ?? '',
    ...(addresses === undefined ? { ...mapFields(metadata) } : addressFields(addresses)),
  };
  return Object.hasOwn(fields, path) ? fields[path] : undefined;
}

function addressFields({ hostIP, podIPs }: PodAddresses): Record<string, string> {
  return {
    'status.hostIP': hostIP,
    'status.hostIPs': hostIP,
    'status.podIP': podIPs[0] ?? '',
    'status.podIPs': podIPs.join(','),
  };
}

/** Whole maps: in files only. */
function mapFields({ labels, annotations }: Pod['metadata']): Record<string, string> {
  return { 'metadata.labels': linesOf(labels ?? {}), 'metadata.annotations': linesOf(annotations ?? {}) };
}

/** A line `key="value"` for each, by key. */
function linesOf(map: Readonly<Record<string, string>>): string {
  return Object.entries(map)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .sort()
    .join('\n');
}

/**
 * What a `resourceFieldRef` names, in whole units of the divisor, rounded up. A limit that is not set is what the
 * machine has; a request that is not set is 0.
 *
 * @returns undefined for a resource that names nothing
 */
export function amountOf(
  container: Container,
  { resource, divisor = '1' }: { readonly resource: string; readonly divisor?: string },
): string | undefined {
  const [, which, name = ''] = /^(limits|requests)\.(.+)$/.exec(resource) ?? [];
  if (which !== 'limits' && which !== 'requests') return undefined;
  const unset = which === 'requests' ? '0' : machineResources()[name];
  const amount = container.resources?.[which]?.[name] ?? unset;
  if (amount === undefined) return undefined;
  const unit = quantityNanos(divisor) || 1_000_000_000n;
  return String(((quantityNanos(amount) ?? 0n) + unit - 1n) / unit);
}
