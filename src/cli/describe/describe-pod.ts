import { ageOf, type Pod, type Toleration } from '../../kubeapi/index.ts';
import { compareTexts } from './compare-texts.ts';
import { describeContainers, describeResources } from './describe-containers.ts';
import { describeVolumes } from './describe-volumes.ts';
import type { Description } from './description.ts';
import { moment } from './moment.ts';

/** Fields that few pods have and podwire itself does not read. */
interface RareSpec {
  readonly resources?: Parameters<typeof describeResources>[1];
  readonly topologySpreadConstraints?: readonly {
    readonly topologyKey: string;
    readonly whenUnsatisfiable: string;
    readonly maxSkew: number;
  }[];
}

/** All of a pod but its events. */
export function describePod(text: Description, pod: Pod): void {
  const { metadata, spec, status = {} } = pod;
  text.line(0, 'Name:', metadata.name);
  text.line(0, 'Namespace:', metadata.namespace ?? '');
  if (spec.priority !== undefined) text.line(0, 'Priority:', spec.priority);
  if (spec.priorityClassName) text.line(0, 'Priority Class Name:', spec.priorityClassName);
  if (spec.runtimeClassName) text.line(0, 'Runtime Class Name:', spec.runtimeClassName);
  if (spec.serviceAccountName) text.line(0, 'Service Account:', spec.serviceAccountName);
  text.line(0, 'Node:', spec.nodeName ? `${spec.nodeName}/${status.hostIP ?? ''}` : '<none>');
  if (status.startTime) text.line(0, 'Start Time:', moment(status.startTime));
  text.labels('Labels', metadata.labels);
  text.annotations(metadata.annotations);
  describePhase(text, pod);
  if (status.reason) text.line(0, 'Reason:', status.reason);
  if (status.message) text.line(0, 'Message:', status.message);
  const profile = spec.securityContext?.seccompProfile;
  if (profile !== undefined) text.line(0, 'SeccompProfile:', profile.type);
  if (profile?.type === 'Localhost') text.line(0, 'LocalhostProfile:', profile.localhostProfile ?? '');
  text.line(0, 'IP:', status.podIP ?? '');
  describeAddresses(text, pod);
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner !== undefined) text.line(0, 'Controlled By:', `${owner.kind}/${owner.name}`);
  if (status.nominatedNodeName) text.line(0, 'NominatedNodeName:', status.nominatedNodeName);
  const { resources, topologySpreadConstraints = [] } = spec as RareSpec;
  if (resources !== undefined) {
    text.line(0, 'Resources:');
    describeResources(text, resources, 1);
  }
  describeContainers(text, pod);
  describeConditions(text, pod);
  describeVolumes(text, spec.volumes ?? []);
  text.line(0, 'QoS Class:', status.qosClass ?? 'BestEffort');
  text.labels('Node-Selectors', spec.nodeSelector);
  const byKey = [...(spec.tolerations ?? [])].sort((one, other) => compareTexts(one.key ?? '', other.key ?? ''));
  text.entries('Tolerations', byKey.map(tolerationText));
  if (topologySpreadConstraints.length === 0) return;
  text.entries(
    'Topology Spread Constraints',
    [...topologySpreadConstraints]
      .sort((one, other) => compareTexts(one.topologyKey, other.topologyKey))
      .map((one) => `${one.topologyKey}:${one.whenUnsatisfiable} when max skew ${one.maxSkew} is exceeded`),
  );
}

function describePhase(text: Description, { metadata, status = {} }: Pod): void {
  const hasEnded = status.phase === 'Failed' || status.phase === 'Succeeded';
  if (!metadata.deletionTimestamp || hasEnded) {
    text.line(0, 'Status:', status.phase ?? '');
    return;
  }
  text.line(0, 'Status:', `Terminating (lasts ${ageOf(metadata.deletionTimestamp, new Date())})`);
  text.line(0, 'Termination Grace Period:', `${metadata.deletionGracePeriodSeconds ?? 0}s`);
}

function describeAddresses(text: Description, { status }: Pod): void {
  const addresses = status?.podIPs ?? [];
  if (addresses.length === 0) text.line(0, 'IPs:', '<none>');
  else text.line(0, 'IPs:');
  for (const { ip } of addresses) text.line(1, 'IP:', ip);
}

function describeConditions(text: Description, { spec, status }: Pod): void {
  const conditions = status?.conditions ?? [];
  const gates = spec.readinessGates ?? [];
  if (gates.length > 0) {
    text.line(0, 'Readiness Gates:');
    text.line(1, 'Type', 'Status');
    for (const { conditionType } of gates) {
      const found = conditions.find(({ type }) => type === conditionType);
      text.line(1, `${conditionType} `, `${found?.status ?? '<none>'} `);
    }
  }
  if (conditions.length === 0) return;
  text.line(0, 'Conditions:');
  text.line(1, 'Type', 'Status');
  for (const { type, status: value } of conditions) text.line(1, `${type} `, `${value} `);
}

function tolerationText({ key = '', value = '', effect, operator, tolerationSeconds }: Toleration): string {
  const exists = operator === 'Exists' && value === '';
  return [
    key,
    value === '' ? '' : `=${value}`,
    effect === undefined ? '' : `:${effect}`,
    exists ? (key === '' && effect === undefined ? 'op=Exists' : ' op=Exists') : '',
    tolerationSeconds === undefined ? '' : ` for ${tolerationSeconds}s`,
  ].join('');
}
