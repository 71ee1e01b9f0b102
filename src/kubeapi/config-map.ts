import type { ObjectMeta } from './object-meta.ts';

/** v1.ConfigMap: podwire's apiserver has none; a kubelet in a real cluster reads them for its pods. */
export interface ConfigMap {
  readonly apiVersion?: 'v1';
  readonly kind?: 'ConfigMap';
  readonly metadata: ObjectMeta;
  readonly data?: Readonly<Record<string, string>>;
  /** base64; no key is in `data` too. */
  readonly binaryData?: Readonly<Record<string, string>>;
}
