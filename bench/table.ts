/** What a bench found, as rows of text under a heading. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Said below the table: what was compared with what. */
  readonly notes?: readonly string[];
}

/** The table as Markdown, padded so that it reads as plain text too. The first column is left-aligned. */
export function markdownOf({ title, columns, rows, notes = [] }: Table): string {
  const widths = columns.map((column, index) => Math.max(column.length, ...rows.map((row) => row[index]?.length ?? 0)));
  const line = (cells: readonly string[]): string => {
    const padded = widths.map((width, index) => {
      const cell = cells[index] ?? '';
      return index === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${padded.join(' | ')} |`;
  };
  const rule = widths.map((width, index) => (index === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [
    `### ${title}`,
    '',
    line(columns),
    `| ${rule.join(' | ')} |`,
    ...rows.map(line),
    ...(notes.length === 0 ? [] : ['', ...notes]),
    '',
  ].join('\n');
}
