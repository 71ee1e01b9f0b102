import { readFile } from 'node:fs/promises';
import { arch, cpus, hostname, networkInterfaces, platform, release, totalmem } from 'node:os';
import { type Node, type NodeAddress, WEBSOCKET_PASS_THROUGH_FEATURE } from '../kubeapi/index.ts';
import { type NodeFinding, type NodeRoom, pressureConditions } from './node-pressure.ts';
import { timestamp } from './pod-status.ts';

/** How many pods a node says it takes: upstream's default. */
const MAX_PODS = 110;

export interface NodeFacts {
  readonly name: string;
  /** Address under which the apiserver reaches this kubelet. */
  readonly address: string;
  readonly port: number;
  readonly runtime: { readonly name: string; readonly version: string } | undefined;
  /** Why the node is not ready; undefined when it is. */
  readonly notReady: string | undefined;
  readonly version: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly room: NodeRoom;
  readonly now: Date;
}

const goArchitectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** Quantities of cpu and memory that this machine has. */
export function machineResources(): Readonly<Record<string, string>> {
  return { cpu: String(cpus().length), memory: `${Math.floor(totalmem() / 1024)}Ki` };
}

/** v1.Node of this machine, with its status. `before` keeps the times at which conditions last changed. */
export async function nodeObject(facts: NodeFacts, before: Node | undefined): Promise<Node> {
  const goArch = goArchitectures[arch()] ?? arch();
  const goOs = platform() === 'win32' ? 'windows' : platform();
  const { disk } = facts.room;
  const resources = {
    ...machineResources(),
    ...(disk === undefined ? {} : { 'ephemeral-storage': `${Math.floor(disk.totalBytes / 1024)}Ki` }),
    pods: String(MAX_PODS),
  };
  const [machineId, bootId, osImage] = await Promise.all([
    firstLine('/etc/machine-id'),
    firstLine('/proc/sys/kernel/random/boot_id'),
    prettyName(),
  ]);
  const addresses: NodeAddress[] = [
    { type: 'InternalIP', address: facts.address },
    { type: 'Hostname', address: facts.name },
  ];
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: facts.name,
      labels: {
        'kubernetes.io/hostname': facts.name,
        'kubernetes.io/os': goOs,
        'kubernetes.io/arch': goArch,
        ...facts.labels,
      },
    },
    spec: {},
    status: {
      capacity: resources,
      allocatable: resources,
      addresses,
      daemonEndpoints: { kubeletEndpoint: { Port: facts.port } },
      conditions: [...pressureConditions(facts.room), readyCondition(facts)].map((condition) =>
        timed(condition, facts, before),
      ),
      nodeInfo: {
        machineID: machineId,
        systemUUID: machineId,
        bootID: bootId,
        kernelVersion: release(),
        osImage,
        containerRuntimeVersion:
          facts.runtime === undefined ? 'unknown://' : `${facts.runtime.name}://${facts.runtime.version}`,
        kubeletVersion: facts.version,
        kubeProxyVersion: '',
        operatingSystem: goOs,
        architecture: goArch,
      },
      declaredFeatures: [WEBSOCKET_PASS_THROUGH_FEATURE],
    },
  };
}

function readyCondition({ notReady }: NodeFacts): NodeFinding {
  return {
    type: 'Ready',
    status: notReady === undefined ? 'True' : 'False',
    reason: notReady === undefined ? 'KubeletReady' : 'KubeletNotReady',
    message: notReady ?? 'kubelet is posting ready status',
  };
}

type Condition = NonNullable<NonNullable<Node['status']>['conditions']>[number];

function timed(condition: NodeFinding, facts: NodeFacts, before: Node | undefined): Condition {
  const known = before?.status?.conditions?.find(({ type }) => type === condition.type);
  const now = timestamp(facts.now);
  const lastTransitionTime = known?.status === condition.status ? (known.lastTransitionTime ?? now) : now;
  return { ...condition, lastHeartbeatTime: now, lastTransitionTime };
}

/** The name under which the node registers when none is given: the host's, in lower case. */
export function defaultNodeName(): string {
  return hostname().toLowerCase();
}

/** The first address of this machine that is not loopback, else 127.0.0.1. */
export function defaultNodeAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? '127.0.0.1';
}

async function firstLine(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch {
    return '';
  }
}

async function prettyName(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text)?.[1] ?? platform();
}
