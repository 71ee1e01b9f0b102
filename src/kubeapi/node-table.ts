import { ageOf } from './human-duration.ts';
import type { Node, NodeAddressType } from './node.ts';
import { column, type TableLayout } from './table.ts';

const ROLE_PREFIX = 'node-role.kubernetes.io/';
const ROLE_LABEL = 'kubernetes.io/role';

/** The columns of `kubectl get nodes`, and behind them those of `-o wide`. */
export const nodeLayout: TableLayout<Node> = {
  columns: [
    column('Name'),
    column('Status', 0, 'Whether its kubelet says that it is ready'),
    column('Roles'),
    column('Age'),
    column('Version', 0, 'Version of its kubelet'),
    column('Internal-IP', 1),
    column('External-IP', 1),
    column('OS-Image', 1),
    column('Kernel-Version', 1),
    column('Container-Runtime', 1),
  ],
  row: (node, now) => {
    const { metadata, status } = node;
    const info = status?.nodeInfo;
    return {
      cells: [
        metadata.name,
        statusText(node),
        roles(node),
        ageOf(metadata.creationTimestamp, now),
        info?.kubeletVersion ?? '',
        address(node, 'InternalIP'),
        address(node, 'ExternalIP'),
        info?.osImage || '<unknown>',
        info?.kernelVersion || '<unknown>',
        info?.containerRuntimeVersion || '<unknown>',
      ],
    };
  },
};

function statusText({ spec, status }: Node): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const text = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  return spec?.unschedulable === true ? `${text},SchedulingDisabled` : text;
}

function roles({ metadata }: Node): string {
  const found = Object.entries(metadata.labels ?? {}).flatMap(([label, value]) => {
    if (label.startsWith(ROLE_PREFIX)) return [label.slice(ROLE_PREFIX.length)];
    return label === ROLE_LABEL ? [value] : [];
  });
  const names = [...new Set(found.filter((name) => name !== ''))].sort();
  return names.length === 0 ? '<none>' : names.join(',');
}

function address({ status }: Node, wanted: NodeAddressType): string {
  return status?.addresses?.find(({ type }) => type === wanted)?.address ?? '<none>';
}
