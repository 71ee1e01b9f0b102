export interface ElasticTabsOptions {
  /** Columns are no narrower, gap included. */
  readonly minWidth: number;
  /** Spaces behind the widest cell of a column. */
  readonly padding: number;
  /** Columns are no narrower than they were in an earlier text. Default false. */
  readonly remembersWidths?: boolean;
}

/**
 * Text whose tabs end cells, made into columns. A column reaches over the neighbouring lines that have a cell in it and
 * is as wide as the widest of them; what stands behind a line's last tab belongs to no column.
 *
 * @see Go's text/tabwriter, with which kubectl writes everything
 */
export class ElasticTabs {
  readonly #options: ElasticTabsOptions;
  readonly #remembered: number[] = [];

  constructor(options: ElasticTabsOptions) {
    this.#options = options;
  }

  /** @param text lines that end with `\n` */
  format(text: string): string {
    const lines = text.split('\n').map((line) => line.split('\t'));
    const widths: number[][] = lines.map(() => []);
    this.#measure({ lines, widths }, { from: 0, to: lines.length, column: 0 });
    return lines
      .map((cells, row) => cells.map((cell, column) => padded(cell, widths[row]?.[column] ?? 0)).join(''))
      .join('\n');
  }

  /** Gives each block of lines that have `column` its width there, and then the columns to the right of it. */
  #measure(
    page: { readonly lines: readonly string[][]; readonly widths: readonly number[][] },
    { from, to, column }: { readonly from: number; readonly to: number; readonly column: number },
  ): void {
    const hasColumn = (row: number): boolean => column < (page.lines[row]?.length ?? 0) - 1;
    for (let start = from; start < to; start += 1) {
      if (!hasColumn(start)) continue;
      let end = start;
      while (end < to && hasColumn(end)) end += 1;
      const cells = page.lines.slice(start, end).map((line) => line[column] ?? '');
      const width = this.#widthOf(column, Math.max(...cells.map((cell) => lengthOf(cell) + this.#options.padding)));
      for (const row of page.widths.slice(start, end)) row[column] = width;
      this.#measure(page, { from: start, to: end, column: column + 1 });
      start = end - 1;
    }
  }

  #widthOf(column: number, needed: number): number {
    const { minWidth, remembersWidths = false } = this.#options;
    const width = Math.max(minWidth, needed, remembersWidths ? (this.#remembered[column] ?? 0) : 0);
    if (remembersWidths) this.#remembered[column] = width;
    return width;
  }
}

function padded(cell: string, width: number): string {
  return cell + ' '.repeat(Math.max(0, width - lengthOf(cell)));
}

function lengthOf(text: string): number {
  return Array.from(text).length;
}
