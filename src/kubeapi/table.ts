import { ageOf } from './human-duration.ts';
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
  readonly apiVersion: 'meta.k8s.io/v1' | 'meta.k8s.io/v1beta1';
  readonly metadata: ObjectMeta;
}

export type TableCell = string | number | boolean | null;

export interface TableRow {
  /** One value for each column, in order. */
  readonly cells: readonly TableCell[];
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

/** How objects of one kind become rows. */
export interface TableLayout<T> {
  readonly columns: readonly TableColumn[];
  row(object: T, now: Date): Pick<TableRow, 'cells' | 'conditions'>;
}

export interface TableOptions {
  /** The list's, or a single object's resource version. */
  readonly metadata?: ListMeta;
  /** The query's `includeObject`. Default `Metadata`. */
  readonly includeObject?: 'None' | 'Metadata' | 'Object';
  /** Default `v1`, as asked for by `v=` in Accept. */
  readonly version?: 'v1' | 'v1beta1';
  /** A watch sends them with its first event only. Default true. */
  readonly withColumns?: boolean;
  /** Default: now. */
  readonly now?: Date;
}

/** The Table of `objects`, one row each. */
export function renderTable<T extends KubeObject>(
  layout: TableLayout<T>,
  objects: readonly T[],
  options: TableOptions = {},
): Table {
  const { metadata = {}, includeObject = 'Metadata', version = 'v1', withColumns = true, now = new Date() } = options;
  const apiVersion = `meta.k8s.io/${version}` as const;
  return {
    kind: 'Table',
    apiVersion,
    metadata,
    columnDefinitions: withColumns ? layout.columns : [],
    rows: objects.map((object) => ({
      ...layout.row(object, now),
      ...(includeObject === 'None'
        ? {}
        : {
            object:
              includeObject === 'Object'
                ? object
                : ({ kind: 'PartialObjectMetadata', apiVersion, metadata: object.metadata } as const),
          }),
    })),
  };
}

/** A column of text; `name` is the title. */
export function column(name: string, priority: 0 | 1 = 0, description = ''): TableColumn {
  return { name, type: 'string', format: name === 'Name' ? 'name' : '', description, priority };
}

/** Name and age, for every kind that has no layout of its own. */
export const plainLayout: TableLayout<KubeObject> = {
  columns: [column('Name'), column('Age')],
  row: ({ metadata }, now) => ({ cells: [metadata.name, ageOf(metadata.creationTimestamp, now)] }),
};
