import type { ApiObject, Registry } from '../../src/apiserver/index.ts';
import type { Condition, Pod } from '../../src/kubeapi/index.ts';

/** A node that is ready, unless told otherwise. */
export const nodeNamed = (
  name: string,
  more: { spec?: object; labels?: Record<string, string>; ready?: string } = {},
): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: more.labels ?? {} },
  spec: more.spec ?? {},
  status: {
    conditions: [{ type: 'Ready', status: more.ready ?? 'True', lastHeartbeatTime: '2026-11-26T00:00:00Z' }],
    addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
  },
});

export const podNamed = (name: string, spec: object = {}, namespace = 'default'): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});

/** Waits until an object is as wanted; `undefined` is one that is not there. */
export async function until(
  registry: Registry,
  type: Parameters<Registry['watch']>[0],
  name: string,
  isRight: (object: ApiObject | undefined) => boolean,
): Promise<ApiObject> {
  for await (const event of registry.watch(
    type,
    { fieldSelector: `metadata.name=${name}` },
    { sendInitialEvents: true },
  )) {
    if (event.type === 'BOOKMARK') {
      const { items } = await registry.list(type, { fieldSelector: `metadata.name=${name}` });
      if (items.length === 0 && isRight(undefined)) return event.object as ApiObject;
      continue;
    }
    if (isRight(event.type === 'DELETED' ? undefined : event.object)) return event.object;
  }
  throw new Error('the watch ended');
}

/** Where a pod is, `''` for nowhere yet, and what was said of that. */
export const scheduled = (pod: ApiObject | undefined): { node: string; condition: Condition | undefined } => {
  const { spec, status } = pod as ApiObject & Pod;
  return {
    node: spec.nodeName ?? '',
    condition: status?.conditions?.find(({ type }) => type === 'PodScheduled'),
  };
};

export const onSomeNode = (pod: ApiObject | undefined): boolean => pod !== undefined && scheduled(pod).node !== '';
export const refused = (pod: ApiObject | undefined): boolean =>
  pod !== undefined && scheduled(pod).condition?.status === 'False';
