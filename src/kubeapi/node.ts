import type { Condition, ObjectMeta } from './object-meta.ts';
import type { ResourceList } from './quantity.ts';

export type NodeAddressType = 'Hostname' | 'InternalDNS' | 'InternalIP' | 'ExternalDNS' | 'ExternalIP';

export interface NodeAddress {
  readonly type: NodeAddressType;
  readonly address: string;
}

/** All strings; `containerRuntimeVersion` is `<name>://<version>`. */
export interface NodeSystemInfo {
  readonly machineID: string;
  readonly systemUUID: string;
  readonly bootID: string;
  readonly kernelVersion: string;
  readonly osImage: string;
  readonly containerRuntimeVersion: string;
  readonly kubeletVersion: string;
  readonly kubeProxyVersion?: string;
  readonly operatingSystem: string;
  readonly architecture: string;
}

export interface NodeCondition extends Condition {
  readonly lastHeartbeatTime?: string | null;
}

export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
  readonly timeAdded?: string | null;
}

/** A node that names this in `status.declaredFeatures` translates WebSocket v5 and the tunnel itself (Kubernetes 1.36). */
export const WEBSOCKET_PASS_THROUGH_FEATURE = 'ExtendWebSocketsToKubelet';

/** v1.Node. */
export interface Node {
  readonly apiVersion?: 'v1';
  readonly kind?: 'Node';
  readonly metadata: ObjectMeta;
  readonly spec?: {
    readonly podCIDR?: string;
    readonly podCIDRs?: readonly string[];
    readonly providerID?: string;
    readonly unschedulable?: boolean;
    readonly taints?: readonly Taint[];
  };
  readonly status?: {
    readonly capacity?: ResourceList;
    readonly allocatable?: ResourceList;
    readonly conditions?: readonly NodeCondition[];
    readonly addresses?: readonly NodeAddress[];
    /** Capital `Port`, as in Go. 0 means the default. */
    readonly daemonEndpoints?: { readonly kubeletEndpoint?: { readonly Port: number } };
    readonly nodeInfo?: NodeSystemInfo;
    readonly images?: readonly { readonly names?: readonly string[]; readonly sizeBytes?: number }[];
    readonly runtimeHandlers?: readonly unknown[];
    readonly features?: Readonly<Record<string, boolean>>;
    readonly declaredFeatures?: readonly string[];
  };
}
