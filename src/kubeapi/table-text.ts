import type { Table, TableCell } from './table.ts';

export interface TableTextOptions {
  /** Shows the columns of priority 1 too. Default false. */
  readonly wide?: boolean;
  /** Default true. */
  readonly headers?: boolean;
  /** A first column with each object's namespace, as for `-A`. Default false. */
  readonly namespaces?: boolean;
}

/** Spaces between two columns, as kubectl has them. */
const GAP = '   ';

/** A Table as kubectl prints it: upper-case titles, columns as wide as their widest cell, no spaces at line ends. */
export function formatTable(table: Pick<Table, 'columnDefinitions' | 'rows'>, options: TableTextOptions = {}): string {
  const { wide = false, headers = true, namespaces = false } = options;
  const shown = table.columnDefinitions.flatMap(({ name, priority }, index) =>
    priority === 0 || wide ? [{ title: name.toUpperCase(), index }] : [],
  );
  const lines = table.rows.map(({ cells, object }) => [
    ...(namespaces ? [object?.metadata.namespace ?? ''] : []),
    ...shown.map(({ index }) => cellText(cells[index])),
  ]);
  if (headers) lines.unshift([...(namespaces ? ['NAMESPACE'] : []), ...shown.map(({ title }) => title)]);
  const widths = (lines[0] ?? []).map((_cell, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, index) => cell.padEnd(widths[index] ?? 0))
          .join(GAP)
          .trimEnd()}\n`,
    )
    .join('');
}

/** One line only: what a peer wrote into an object must not move the cursor. */
function cellText(cell: TableCell | undefined): string {
  return cell === null || cell === undefined ? '<none>' : String(cell).replace(/\p{Cc}/gu, ' ');
}
