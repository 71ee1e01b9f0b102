/** metav1.OwnerReference. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/**
 * metav1.ObjectMeta, the part that exec needs. Times are RFC 3339 in UTC.
 *
 * @see kubernetes/apimachinery pkg/apis/meta/v1/types.go
 */
export interface ObjectMeta {
  /** `''` only in an object that is sent with `generateName`. */
  readonly name: string;
  readonly generateName?: string;
  /** Absent for objects that have none, such as nodes. */
  readonly namespace?: string;
  readonly uid?: string;
  /** Opaque: compare for equality only. */
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string | null;
  /** Set once deletion began; the object is gone when its finalizers and its kubelet are done. */
  readonly deletionTimestamp?: string | null;
  readonly deletionGracePeriodSeconds?: number | null;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
  /** Passed along, never looked into. */
  readonly managedFields?: readonly unknown[];
}

/** What every object of the API has. `apiVersion` and `kind` are absent in the items of a typed list. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** A reference within the object's own namespace. */
export interface LocalObjectReference {
  readonly name?: string;
}

/** v1.ObjectReference. */
export interface ObjectReference {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly fieldPath?: string;
}

/** v1.Condition as pods and nodes have it. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string | null;
}
