/** Edits between two words: letters put in, left out, exchanged, or two neighbours swapped. */
function distance(left: string, right: string): number {
  const rows = [Array.from({ length: right.length + 1 }, (_cell, index) => index)];
  for (let i = 1; i <= left.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const at = (back: number, across: number): number => rows[i - back]?.[j - across] ?? Number.POSITIVE_INFINITY;
      const same = left[i - 1] === right[j - 1];
      const swapped = i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1];
      const edits = [at(1, 0) + 1, (row[j - 1] ?? 0) + 1, at(1, 1) + (same ? 0 : 1)];
      row.push(Math.min(...edits, ...(swapped ? [at(2, 2) + 1] : [])));
    }
    rows.push(row);
  }
  return rows[left.length]?.[right.length] ?? Number.POSITIVE_INFINITY;
}

/**
 * Those of `choices` that somebody who typed `word` may have meant, nearest first. As cobra: two edits, or a beginning;
 * but of a short word less than half, for `svc` is no `ev`.
 */
export function nearest(word: string, choices: readonly string[]): string[] {
  return choices
    .map((choice) => ({ choice, edits: choice.startsWith(word) ? 0 : distance(word.toLowerCase(), choice) }))
    .filter(({ edits }) => edits <= 2 && (edits === 0 || edits * 2 < word.length))
    .sort((left, right) => left.edits - right.edits)
    .map(({ choice }) => choice);
}
