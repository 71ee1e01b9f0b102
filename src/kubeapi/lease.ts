import type { ObjectMeta } from './object-meta.ts';

/** Where kubelets keep their heartbeat, one Lease each, named as the node. */
export const NODE_LEASE_NAMESPACE = 'kube-node-lease';

/** coordination.k8s.io/v1 Lease. Its times have microseconds. */
export interface Lease {
  readonly apiVersion?: 'coordination.k8s.io/v1';
  readonly kind?: 'Lease';
  readonly metadata: ObjectMeta;
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string | null;
    readonly renewTime?: string | null;
    readonly leaseTransitions?: number;
  };
}

/** metav1.MicroTime: RFC 3339 with six digits. */
export function microTime(at: Date): string {
  return at.toISOString().replace('Z', '000Z');
}
