import { isIPv6 } from 'node:net';
import { ExecPathError } from '../common/errors.ts';
import {
  type Node,
  type NodeAddressType,
  nodes,
  type Pod,
  pods,
  type ResourceType,
  WEBSOCKET_PASS_THROUGH_FEATURE,
} from '../kubeapi/index.ts';
import { badRequest, notFound } from './api-error.ts';
import type { ObjectAddress } from './object-codec.ts';

/** Which of a node's addresses its kubelet is dialed at: the first type that the node has. */
export const PREFERRED_ADDRESS_TYPES: readonly NodeAddressType[] = [
  'Hostname',
  'InternalDNS',
  'InternalIP',
  'ExternalDNS',
  'ExternalIP',
];

/** Where kubelets listen that do not say so in their node's status. */
export const KUBELET_PORT = 10_250;

export interface LocationOptions {
  /** `--kubelet-preferred-address-types`; default {@link PREFERRED_ADDRESS_TYPES}. */
  readonly preferredAddressTypes?: readonly NodeAddressType[];
  /** `--kubelet-port`; default {@link KUBELET_PORT}. */
  readonly kubeletPort?: number;
}

/** The kubelet that runs a pod. */
export interface PodLocation {
  readonly scheme: 'https';
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** `host:port` as a URL has it. */
  readonly authority: string;
  readonly node: string;
  readonly pod: Pod;
  /** The container that is meant; `''` for port-forward, which has none. */
  readonly container: string;
  /** The node says that its kubelet takes WebSocket v5 and the port-forward tunnel as they are (Kubernetes 1.36). */
  readonly nodeDeclaresWebSocketPassThrough: boolean;
}

/** Where the pod and its node are looked up. */
export interface ObjectSource {
  /** @throws ApiError, or what stands for it: ERR_NOT_FOUND */
  get<T>(type: ResourceType<T>, address: ObjectAddress): Promise<T>;
}

export interface LocationTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly subresource: 'exec' | 'attach' | 'portforward' | 'log';
  /** From the query; absent or `''`: the pod's only one. */
  readonly container?: string | undefined;
}

/**
 * Finds the kubelet and the container that a connect request means, in upstream's order and with its texts.
 *
 * @throws ApiError ERR_NOT_FOUND for the pod or its node; ExecPathError ERR_BAD_REQUEST for the container or a pod that
 * is on no node; ERR_NO_NODE_ADDRESS
 * @see kubernetes pkg/registry/core/pod/strategy.go (http-surfaces.md 2.3)
 */
export async function findPodLocation(
  objects: ObjectSource,
  target: LocationTarget,
  options: LocationOptions = {},
): Promise<PodLocation> {
  const pod = await objects.get(pods, { namespace: target.namespace, name: target.pod });
  const container = target.subresource === 'portforward' ? '' : containerOf(pod, target.container ?? '');
  const nodeName = pod.spec.nodeName ?? '';
  if (nodeName === '') throw badRequest(`pod ${target.pod} does not have a host assigned`);
  const node = await objects.get(nodes, { namespace: '', name: nodeName }).catch((thrown: unknown) => {
    if (!(thrown instanceof ExecPathError) || thrown.code !== 'ERR_NOT_FOUND') throw thrown;
    // As kube-apiserver 1.32 says it: the node's name, but as if it were a pod.
    throw notFound(pods, nodeName);
  });
  refuseSilent(node);
  const host = addressOf(node, options.preferredAddressTypes ?? PREFERRED_ADDRESS_TYPES);
  const port = node.status?.daemonEndpoints?.kubeletEndpoint?.Port || (options.kubeletPort ?? KUBELET_PORT);
  return {
    scheme: 'https',
    host,
    port,
    authority: `${isIPv6(host) ? `[${host}]` : host}:${port}`,
    node: nodeName,
    pod,
    container,
    nodeDeclaresWebSocketPassThrough: (node.status?.declaredFeatures ?? []).includes(WEBSOCKET_PASS_THROUGH_FEATURE),
  };
}

/** A kubelet that has not been heard of is not waited for: its machine may be cut off. */
function refuseSilent({ metadata, status }: Node): void {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.status !== 'Unknown') return;
  const since = typeof ready.lastTransitionTime === 'string' ? ` since ${ready.lastTransitionTime}` : '';
  const text = `error dialing backend: node ${metadata.name} is not ready${since}: ${ready.message ?? 'its kubelet is silent'}`;
  throw new ExecPathError('ERR_NODE_SILENT', text, { hop: 'apiserver' });
}

/**
 * The container that is meant. The annotation `kubectl.kubernetes.io/default-container` plays no part: kubectl resolves it.
 *
 * @throws ExecPathError ERR_BAD_REQUEST
 */
export function containerOf({ metadata, spec }: Pod, asked: string): string {
  const names = [spec.initContainers, spec.containers, spec.ephemeralContainers]
    .flatMap((list) => list ?? [])
    .map(({ name }) => name);
  if (asked !== '') {
    if (names.includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${metadata.name}`);
  }
  // Regular containers alone count here, although the text then names all.
  const [only, ...others] = spec.containers;
  if (only !== undefined && others.length === 0) return only.name;
  const text = `a container name must be specified for pod ${metadata.name}`;
  throw badRequest(only === undefined ? text : `${text}, choose one of: [${names.join(' ')}]`);
}

function addressOf(node: Node, preferred: readonly NodeAddressType[]): string {
  const addresses = node.status?.addresses ?? [];
  for (const type of preferred) {
    const found = addresses.find((address) => address.type === type);
    if (found !== undefined) return found.address;
  }
  const known = addresses.map(({ type, address }) => `{${type} ${address}}`).join(' ');
  throw new ExecPathError('ERR_NO_NODE_ADDRESS', `no preferred addresses found; known addresses: [${known}]`, {
    hop: 'apiserver',
  });
}
