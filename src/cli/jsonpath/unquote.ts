const SIMPLE: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
};

const ESCAPE = /\\(?:([abfnrtv\\"'])|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{3}))|([^\\])/gsuy;

/**
 * What a quoted text says, with Go's escapes; single quotes make text too.
 *
 * @param quoted with its quotes
 * @throws Error in kubectl's words
 */
export function unquote(quoted: string): string {
  const quote = quoted.charAt(0);
  const inner = quoted.slice(1, -1);
  if (quoted.length < 2 || !quoted.endsWith(quote)) throw wrong(quoted);
  if (!inner.includes('\\') && !inner.includes(quote)) return inner;
  let text = '';
  let end = 0;
  for (const [whole, simple, byte, short, long, octal, plain] of inner.matchAll(ESCAPE)) {
    end += whole.length;
    if (plain !== undefined) {
      if (plain === quote) throw wrong(quoted);
      text += plain;
    } else if (simple !== undefined) {
      if ((simple === '"' || simple === "'") && simple !== quote) throw wrong(quoted);
      text += SIMPLE[simple] ?? simple;
    } else {
      const code = octal === undefined ? Number.parseInt(byte ?? short ?? long ?? '', 16) : Number.parseInt(octal, 8);
      if (code > 0x10ffff || (octal !== undefined && code > 255)) throw wrong(quoted);
      text += String.fromCodePoint(code);
    }
  }
  if (end !== inner.length) throw wrong(quoted);
  return text;
}

function wrong(quoted: string): Error {
  return new Error(`unquote string ${quoted} error invalid syntax`);
}
