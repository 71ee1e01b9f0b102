import type { ObjectMeta } from './object-meta.ts';

/** authentication.k8s.io/v1 TokenRequest: posted to the subresource `token` of a service account. */
export interface TokenRequest {
  readonly apiVersion: 'authentication.k8s.io/v1';
  readonly kind: 'TokenRequest';
  readonly metadata: ObjectMeta;
  readonly spec: {
    /** Empty: the apiserver's own. */
    readonly audiences: readonly string[];
    readonly expirationSeconds?: number;
    /** The token dies with this object. */
    readonly boundObjectRef?: {
      readonly apiVersion: string;
      readonly kind: string;
      readonly name: string;
      readonly uid: string;
    };
  };
  readonly status?: {
    readonly token: string;
    /** RFC 3339 */
    readonly expirationTimestamp: string;
  };
}
