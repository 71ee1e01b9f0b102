import type { ObjectMeta } from './object-meta.ts';

export interface ServicePort {
  readonly name?: string;
  /** 1 … 65535 */
  readonly port: number;
  /** Default TCP. */
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP';
}

/** v1.Service: podwire's apiserver has none; a kubelet in a real cluster tells its pods of them. */
export interface Service {
  readonly apiVersion?: 'v1';
  readonly kind?: 'Service';
  readonly metadata: ObjectMeta;
  readonly spec?: {
    /** `None` for one without an address of its own. */
    readonly clusterIP?: string;
    readonly ports?: readonly ServicePort[];
  };
}
