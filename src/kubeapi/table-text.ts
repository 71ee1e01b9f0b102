import { ElasticTabs } from './elastic-tabs.ts';
import type { Table, TableCell, TableColumn, TableRow } from './table.ts';
import { terminalText } from './terminal-text.ts';

export interface TableTextOptions {
  /** Shows the columns of priority 1 too. Default false. */
  readonly wide?: boolean;
  /** Default true. */
  readonly headers?: boolean;
  /** A first column with each object's namespace, as for `-A`. Default false. */
  readonly namespaces?: boolean;
  /** Put before each name with a slash, such as `pod`. Default: nothing. */
  readonly kind?: string | undefined;
  /** A column for each of these labels. Default none. */
  readonly labelColumns?: readonly string[];
  /** A last column with all labels. Default false. */
  readonly showLabels?: boolean;
  /** A first column with what happened to the object, for watches. Default false. */
  readonly events?: boolean;
}

export type ShownTable = Pick<Table, 'columnDefinitions' | 'rows'>;

/**
 * Writes Tables as kubectl does: upper-case titles, columns as wide as their widest cell. Of several Tables with the same
 * columns the titles stand before the first only, and columns never become narrower again.
 */
export class TableText {
  readonly #options: TableTextOptions;
  readonly #tabs = new ElasticTabs({ minWidth: 6, padding: 3, remembersWidths: true });
  #columns: readonly TableColumn[] = [];
  #hasTitles = false;

  constructor(options: TableTextOptions = {}) {
    this.#options = options;
  }

  /**
   * @param table without columns when they are those of the Table before, as in a watch
   * @param event what happened to its objects, where `events` is set
   */
  format(table: ShownTable, event = ''): string {
    const { headers = true, wide = false } = this.#options;
    if (table.columnDefinitions.length > 0) {
      if (JSON.stringify(table.columnDefinitions) !== JSON.stringify(this.#columns)) this.#hasTitles = false;
      this.#columns = table.columnDefinitions;
    }
    if (table.rows.length === 0) return '';
    const shown = this.#columns.flatMap(({ name, priority, format }, index) =>
      priority === 0 || wide ? [{ title: name.toUpperCase(), index, isName: format === 'name' }] : [],
    );
    const lines = table.rows.map((row) => this.#line(row, shown, event));
    if (headers && !this.#hasTitles) lines.unshift(this.#titles(shown.map(({ title }) => title)));
    this.#hasTitles = true;
    return this.#tabs.format(`${lines.map((cells) => cells.join('\t')).join('\n')}\n`);
  }

  #titles(titles: readonly string[]): string[] {
    const { namespaces = false, labelColumns = [], showLabels = false, events = false } = this.#options;
    return [
      ...(events ? ['EVENT'] : []),
      ...(namespaces ? ['NAMESPACE'] : []),
      ...titles,
      ...labelColumns.map((label) => (label.split('/').at(-1) ?? label).toUpperCase()),
      ...(showLabels ? ['LABELS'] : []),
    ];
  }

  #line(
    { cells, object }: TableRow,
    shown: readonly { readonly index: number; readonly isName: boolean }[],
    event: string,
  ): string[] {
    const { namespaces = false, labelColumns = [], showLabels = false, events = false, kind } = this.#options;
    const labels = object?.metadata.labels ?? {};
    const prefix = kind === undefined ? '' : `${kind}/`;
    return [
      ...(events ? [event.padEnd('MODIFIED'.length)] : []),
      ...(namespaces ? [object?.metadata.namespace ?? ''] : []),
      ...shown.map(({ index, isName }) => (isName ? prefix : '') + cellText(cells[index])),
      ...labelColumns.map((label) => cellText(labels[label] ?? '')),
      ...(showLabels ? [cellText(labelsText(labels))] : []),
    ];
  }
}

/** One Table as kubectl prints it. */
export function formatTable(table: ShownTable, options: TableTextOptions = {}): string {
  return new TableText(options).format(table);
}

/** `a=1,b=2`, or `<none>`. */
export function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? '<none>' : pairs.sort().join(',');
}

/** The first line of it: more would break the table. */
function cellText(cell: TableCell | undefined): string {
  if (cell === null || cell === undefined) return '';
  const [first = '', ...more] = String(cell).split(/[\f\n\r]/);
  return terminalText(first.replaceAll('\t', ' ')) + (more.length === 0 ? '' : '...');
}
