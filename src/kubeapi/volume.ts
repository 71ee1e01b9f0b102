import type { LocalObjectReference } from './object-meta.ts';

export interface KeyToPath {
  readonly key: string;
  /** Relative, without `..`. */
  readonly path: string;
  /** 0 … 0o777 */
  readonly mode?: number;
}

export interface HostPathVolumeSource {
  readonly path: string;
  readonly type?: string;
}

export interface DownwardApiFile {
  readonly path: string;
  readonly mode?: number;
  readonly fieldRef?: { readonly apiVersion?: string; readonly fieldPath: string };
  readonly resourceFieldRef?: { readonly containerName?: string; readonly resource: string; readonly divisor?: string };
}

export interface ProjectedSource {
  readonly serviceAccountToken?: {
    readonly audience?: string;
    readonly expirationSeconds?: number;
    readonly path: string;
  };
  readonly configMap?: LocalObjectReference & { readonly items?: readonly KeyToPath[]; readonly optional?: boolean };
  readonly secret?: LocalObjectReference & { readonly items?: readonly KeyToPath[]; readonly optional?: boolean };
  readonly downwardAPI?: { readonly items?: readonly DownwardApiFile[] };
}

/** v1.Volume: exactly one source is set; none at all means emptyDir. Sources that podwire does not know stay as they are. */
export interface Volume {
  readonly name: string;
  readonly emptyDir?: { readonly medium?: string; readonly sizeLimit?: string };
  readonly hostPath?: HostPathVolumeSource;
  readonly configMap?: LocalObjectReference & {
    readonly items?: readonly KeyToPath[];
    readonly defaultMode?: number;
    readonly optional?: boolean;
  };
  readonly secret?: {
    readonly secretName?: string;
    readonly items?: readonly KeyToPath[];
    readonly defaultMode?: number;
    readonly optional?: boolean;
  };
  readonly projected?: { readonly sources?: readonly ProjectedSource[]; readonly defaultMode?: number };
  readonly downwardAPI?: { readonly items?: readonly DownwardApiFile[]; readonly defaultMode?: number };
}
