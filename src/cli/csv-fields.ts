/**
 * The fields of a comma list as pflag reads it: a field in double quotes may hold commas, and `""` for a quote.
 *
 * @throws Error that says in Go's words where a quote is wrong
 */
export function csvFields(text: string): readonly string[] {
  if (text === '') return [];
  const fields: string[] = [];
  for (let at = 0; ; ) {
    const [, quoted, plain = ''] = /^(?:"((?:[^"]|"")*)"(?=,|$)|([^,]*))/.exec(text.slice(at)) ?? [];
    if (quoted === undefined) checkQuotes(text, at, plain);
    fields.push(quoted?.replaceAll('""', '"') ?? plain);
    at += (quoted === undefined ? plain.length : quoted.length + 2) + 1;
    if (at > text.length) return fields;
  }
}

/** @param plain what stands at `at` up to the next comma */
function checkQuotes(text: string, at: number, plain: string): void {
  if (plain.startsWith('"')) {
    const inside = /^"(?:[^"]|"")*/.exec(text.slice(at))?.[0] ?? '';
    throw wrong(text, at + inside.length, 'extraneous or missing " in quoted-field');
  }
  const bare = plain.indexOf('"');
  if (bare >= 0) throw wrong(text, at + bare, 'bare " in non-quoted-field');
}

function wrong(text: string, index: number, what: string): Error {
  const column = Buffer.byteLength(text.slice(0, index)) + 1;
  return new Error(`parse error on line 1, column ${column}: ${what}`);
}
