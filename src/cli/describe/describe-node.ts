import { ageOf, type Lease, type Node, type Pod, type ResourceList, type Taint } from '../../kubeapi/index.ts';
import { type Amount, type Amounts, amountOf, amountsOf, amountText, milliOf, sumOf, wholeOf, ZERO } from './amount.ts';
import { compareTexts } from './compare-texts.ts';
import type { Description } from './description.ts';
import { moment } from './moment.ts';
import { podAmounts } from './pod-amounts.ts';

/** What belongs to a node beside itself. */
export interface NodeSurroundings {
  /** Those that have not ended; undefined when the caller may not see them. */
  readonly pods: readonly Pod[] | undefined;
  /** Or why there is none. */
  readonly lease: Lease | string;
}

/** All of a node but its events. */
export function describeNode(text: Description, node: Node, { pods, lease }: NodeSurroundings): void {
  const { metadata, spec = {}, status = {} } = node;
  text.line(0, 'Name:', metadata.name);
  text.line(0, 'Roles:', rolesOf(node).join(',') || '<none>');
  text.labels('Labels', metadata.labels);
  text.annotations(metadata.annotations);
  text.line(0, 'CreationTimestamp:', moment(metadata.creationTimestamp));
  text.entries('Taints', sortedTaints(spec.taints ?? []).map(taintText));
  text.line(0, 'Unschedulable:', String(spec.unschedulable ?? false));
  describeLease(text, lease);
  describeConditions(text, node);
  text.line(0, 'Addresses:');
  for (const { type, address } of status.addresses ?? []) text.line(1, `${type}:`, address);
  describeAmounts(text, 'Capacity:', status.capacity);
  describeAmounts(text, 'Allocatable:', status.allocatable);
  describeSystem(text, node);
  if (spec.podCIDR) text.line(0, 'PodCIDR:', spec.podCIDR);
  if ((spec.podCIDRs ?? []).length > 0) text.line(0, 'PodCIDRs:', (spec.podCIDRs ?? []).join(','));
  if (spec.providerID) text.line(0, 'ProviderID:', spec.providerID);
  if (pods === undefined) text.line(0, 'Pods:', 'not authorized');
  else describePods(text, pods, amountsOf(status.allocatable ?? status.capacity));
}

function rolesOf({ metadata }: Node): string[] {
  const roles = Object.entries(metadata.labels ?? {}).map(([key, value]) =>
    key === 'kubernetes.io/role' ? value : (/^node-role\.kubernetes\.io\/(.+)$/.exec(key)?.[1] ?? ''),
  );
  return [...new Set(roles.filter((role) => role !== ''))].sort();
}

function sortedTaints(taints: readonly Taint[]): Taint[] {
  const key = (taint: Taint): string => `${taint.effect},${taint.key}`;
  return [...taints].sort((one, other) => compareTexts(key(one), key(other)));
}

function taintText({ key, value = '', effect }: Taint): string {
  return value === '' ? `${key}:${effect}` : `${key}=${value}:${effect}`;
}

function describeLease(text: Description, lease: Lease | string): void {
  if (typeof lease === 'string') {
    text.line(0, 'Lease:', `Failed to get lease: ${lease}`);
    return;
  }
  const { holderIdentity, acquireTime, renewTime } = lease.spec ?? {};
  text.line(0, 'Lease:');
  text.line(1, 'HolderIdentity:', holderIdentity ?? '<unset>');
  text.line(1, 'AcquireTime:', acquireTime ? moment(acquireTime) : '<unset>');
  text.line(1, 'RenewTime:', renewTime ? moment(renewTime) : '<unset>');
}

function describeConditions(text: Description, { status }: Node): void {
  const conditions = status?.conditions ?? [];
  if (conditions.length === 0) return;
  text.line(0, 'Conditions:');
  text.line(1, 'Type', 'Status', 'LastHeartbeatTime', 'LastTransitionTime', 'Reason', 'Message');
  text.line(1, '----', '------', '-----------------', '------------------', '------', '-------');
  for (const { type, status: value, lastHeartbeatTime, lastTransitionTime, reason = '', message = '' } of conditions) {
    const times = [`${moment(lastHeartbeatTime)} `, `${moment(lastTransitionTime)} `];
    text.line(1, `${type} `, `${value} `, ...times, `${reason} `, message);
  }
}

function describeAmounts(text: Description, title: string, list: ResourceList = {}): void {
  const names = Object.keys(list).sort();
  if (names.length > 0) text.line(0, title);
  for (const name of names) text.line(1, `${name}:`, amountText(amountOf(list[name])));
}

function describeSystem(text: Description, { status }: Node): void {
  const info = status?.nodeInfo;
  text.line(0, 'System Info:');
  text.line(1, 'Machine ID:', info?.machineID ?? '');
  text.line(1, 'System UUID:', info?.systemUUID ?? '');
  text.line(1, 'Boot ID:', info?.bootID ?? '');
  text.line(1, 'Kernel Version:', info?.kernelVersion ?? '');
  text.line(1, 'OS Image:', info?.osImage ?? '');
  text.line(1, 'Operating System:', info?.operatingSystem ?? '');
  text.line(1, 'Architecture:', info?.architecture ?? '');
  text.line(1, 'Container Runtime Version:', info?.containerRuntimeVersion ?? '');
  text.line(1, 'Kubelet Version:', info?.kubeletVersion ?? '');
  text.line(1, 'Kube-Proxy Version:', info?.kubeProxyVersion ?? '');
}

function describePods(text: Description, pods: readonly Pod[], allocatable: Amounts): void {
  text.line(0, 'Non-terminated Pods:', `(${pods.length} in total)`);
  text.line(1, 'Namespace', 'Name', '', 'CPU Requests', 'CPU Limits', 'Memory Requests', 'Memory Limits', 'Age');
  text.line(1, '---------', '----', '', '------------', '----------', '---------------', '-------------', '---');
  let requests: Amounts = new Map();
  let limits: Amounts = new Map();
  const now = new Date();
  for (const pod of pods) {
    const asked = podAmounts(pod, 'requests');
    const most = podAmounts(pod, 'limits');
    requests = sumOf(requests, asked);
    limits = sumOf(limits, most);
    const cells = (['cpu', 'memory'] as const).flatMap((name) =>
      [asked, most].map((amounts) => shareText(amounts.get(name) ?? ZERO, allocatable.get(name) ?? ZERO, name)),
    );
    const { name, namespace = '', creationTimestamp } = pod.metadata;
    text.line(1, namespace, name, '', ...cells, ageOf(creationTimestamp, now));
  }
  describeTotals(text, { requests, limits, allocatable });
}

function describeTotals(
  text: Description,
  { requests, limits, allocatable }: Readonly<Record<'requests' | 'limits' | 'allocatable', Amounts>>,
): void {
  text.line(0, 'Allocated resources:');
  text.line(1, '(Total limits may be over 100 percent, i.e., overcommitted.)');
  text.line(1, 'Resource', 'Requests', 'Limits');
  text.line(1, '--------', '--------', '------');
  const names = [...allocatable.keys()].sort();
  const isHuge = (name: string): boolean => name.startsWith('hugepages-');
  const standard = ['cpu', 'memory', 'ephemeral-storage'];
  for (const name of [...standard, ...names.filter(isHuge)]) {
    const of = (amounts: Amounts): string =>
      shareText(amounts.get(name) ?? ZERO, allocatable.get(name) ?? ZERO, name, '0');
    text.line(1, name, of(requests), of(limits));
  }
  for (const name of names.filter((one) => !standard.includes(one) && !isHuge(one) && one !== 'pods')) {
    text.line(1, name, amountText(requests.get(name) ?? ZERO), amountText(limits.get(name) ?? ZERO));
  }
}

/** An amount and its part of the whole. @param ofNothing what stands for a part of nothing */
function shareText(amount: Amount, whole: Amount, name: string, ofNothing?: string): string {
  const measure = name === 'cpu' ? milliOf : wholeOf;
  const share = Math.trunc((measure(amount) / measure(whole)) * 100);
  // Go makes the smallest number of what is no number.
  const shown = Number.isFinite(share) ? String(share) : (ofNothing ?? '-9223372036854775808');
  return `${amountText(amount)} (${shown}%)`;
}
