import type { ObjectMeta } from './object-meta.ts';

/** v1.Secret: podwire's apiserver has none; a kubelet in a real cluster reads them for its pods. */
export interface Secret {
  readonly apiVersion?: 'v1';
  readonly kind?: 'Secret';
  readonly metadata: ObjectMeta;
  readonly type?: string;
  /** base64 */
  readonly data?: Readonly<Record<string, string>>;
}
