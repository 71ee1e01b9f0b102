import { ageOf } from './human-duration.ts';
import type { Namespace } from './namespace.ts';
import { column, type TableLayout } from './table.ts';

/** The columns of `kubectl get namespaces`. */
export const namespaceLayout: TableLayout<Namespace> = {
  columns: [column('Name'), column('Status'), column('Age')],
  row: ({ metadata, status }, now) => ({
    cells: [metadata.name, status?.phase ?? '', ageOf(metadata.creationTimestamp, now)],
  }),
};
