import type { LocalObjectReference, ObjectMeta, ObjectReference } from './object-meta.ts';

/** v1.ServiceAccount. */
export interface ServiceAccount {
  readonly apiVersion?: 'v1';
  readonly kind?: 'ServiceAccount';
  readonly metadata: ObjectMeta;
  readonly secrets?: readonly ObjectReference[];
  readonly imagePullSecrets?: readonly LocalObjectReference[];
  readonly automountServiceAccountToken?: boolean;
}
