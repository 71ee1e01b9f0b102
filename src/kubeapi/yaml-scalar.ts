/** How a text stands in YAML. */
export type TextStyle = 'plain' | 'single' | 'double' | 'block';

/** What the writer's YAML 1.1 would read as something other than text. */
const NOT_TEXT = [
  /^$/,
  /^(?:~|null|Null|NULL)$/,
  /^(?:y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|true|True|TRUE|false|False|FALSE)$/,
  /^[-+]?(?:0b[01_]+|0o[0-7_]+|0x[\da-fA-F_]+|\d[\d_]*)$/,
  /^[-+]?(?:\.\d[\d_]*|\d[\d_]*(?:\.[\d_]*)?)(?:[eE][-+]?[\d_]+)?$/,
  /^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$/,
  /^[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?$/,
  /^\d{4}-\d\d?-\d\d?(?:[Tt]\d\d?:\d\d?:\d\d?(?:\.\d+)?(?:Z|[-+]\d\d:\d\d)| \d\d?:\d\d?:\d\d?(?:\.\d+)?)?$/,
];

/** Letters that are written as they are. What is beyond 16 bits is not among them. */
const UNPRINTABLE = /[^\n\x20-\x7e\u00a0-\ud7ff\ue000-\ufefe\uff00-\ufffd]/u;
/** Beginnings and middles that plain YAML has a rule against. */
const INDICATOR = /^(?:[#,[\]{}&*!|>'"%@`]|[?:-](?:[ \t]|$)|---|\.\.\.)|:(?:[ \t]|$)|\s#/u;

/** The style that kubectl gives a text. */
export function textStyle(text: string): TextStyle {
  const isSpecial = UNPRINTABLE.test(text) || / [\n\u2028\u2029]/.test(text);
  if (text.includes('\n')) return isSpecial || text.endsWith(' ') ? 'double' : 'block';
  if (NOT_TEXT.some((form) => form.test(text)) || isSpecial) return 'double';
  if (/[\u2028\u2029] /.test(text)) return 'double';
  return INDICATOR.test(text) || /^[ \u2028\u2029]|[ \u2028\u2029]$|[\u2028\u2029]/.test(text) ? 'single' : 'plain';
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\0': '\\0',
  '\u0007': '\\a',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '\u001b': '\\e',
  '"': '\\"',
  '\\': '\\\\',
  '\u0085': '\\N',
  '\u2028': '\\L',
  '\u2029': '\\P',
};

/** The text with the quotes of a style and what they need. */
export function quoted(text: string, style: TextStyle): string {
  if (style === 'single') return `'${text.replaceAll("'", "''")}'`;
  if (style !== 'double') return text;
  return `"${text.replace(/["\\\n\u2028\u2029]|[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufefe\uff00-\ufffd]/gu, escaped)}"`;
}

function escaped(letter: string): string {
  const code = letter.codePointAt(0) ?? 0;
  const hex = code.toString(16).toUpperCase();
  if (code <= 0xff) return ESCAPES[letter] ?? `\\x${hex.padStart(2, '0')}`;
  return ESCAPES[letter] ?? (code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`);
}
