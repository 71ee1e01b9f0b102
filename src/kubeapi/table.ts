import type { ListMeta } from './list.ts';
import type { Condition, KubeObject, ObjectMeta } from './object-meta.ts';

export interface TableColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  /** `name` marks the column that names the object. */
  readonly format: string;
  readonly description: string;
  /** 0 is always shown, 1 only by `-o wide`. */
  readonly priority: number;
}

/** Stands for an object in a Table: its metadata and nothing else. */
export interface PartialObjectMetadata {
  readonly kind: 'PartialObjectMetadata';
  readonly apiVersion: 'meta.k8s.io/v1';
  readonly metadata: ObjectMeta;
}

export interface TableRow {
  /** One value for each column, in order. */
  readonly cells: readonly (string | number | boolean | null)[];
  readonly conditions?: readonly Condition[];
  readonly object?: PartialObjectMetadata | KubeObject | null;
}

/** metav1.Table: what `kubectl get` prints. */
export interface Table {
  readonly kind: 'Table';
  readonly apiVersion: 'meta.k8s.io/v1' | 'meta.k8s.io/v1beta1';
  readonly metadata: ListMeta;
  readonly columnDefinitions: readonly TableColumn[];
  readonly rows: readonly TableRow[];
}
