/** Upstream stops counting there. */
const MAX_DUPLICATE_FIELDS = 100;

/** No more is made of ways, in characters: a short field may come often under a long name. */
const MAX_WAY_CHARS = 1_000_000;

/** An object or a list that the scan is in. */
interface Level {
  /** The fields seen so far; undefined in a list. */
  readonly fields: Set<string> | undefined;
  /** The field that is read, or the index in the list. */
  at: string | number;
}

const code = (char: string): number => char.charCodeAt(0);
const QUOTE = code('"');
const BACKSLASH = code('\\');
const COLON = code(':');
const COMMA = code(',');
const OPEN_OBJECT = code('{');
const CLOSE_OBJECT = code('}');
const OPEN_LIST = code('[');
const CLOSE_LIST = code(']');

/**
 * The fields that an object in a JSON text has more than once, which `JSON.parse` does not tell: the last one wins.
 *
 * @param text JSON that has been parsed
 * @returns ways to them such as `spec.containers[0].image`, in order, each once, the first hundred
 */
export function duplicateFields(text: string): readonly string[] {
  const found = new Set<string>();
  const levels: Level[] = [];
  let level: Level | undefined;
  let chars = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case OPEN_OBJECT:
        levels.push((level = { fields: new Set(), at: '' }));
        break;
      case OPEN_LIST:
        levels.push((level = { fields: undefined, at: 0 }));
        break;
      case CLOSE_OBJECT:
      case CLOSE_LIST:
        levels.pop();
        level = levels.at(-1);
        break;
      case COMMA:
        if (typeof level?.at === 'number') level.at += 1;
        break;
      case QUOTE: {
        const end = endOfString(text, at);
        if (level?.fields !== undefined && isKey(text, end)) {
          level.at = stringOf(text.slice(at, end));
          if (level.fields.has(level.at)) {
            const way = wayOf(levels);
            found.add(way);
            chars += way.length;
            if (found.size === MAX_DUPLICATE_FIELDS || chars > MAX_WAY_CHARS) return [...found];
          }
          level.fields.add(level.at);
        }
        at = end - 1;
        break;
      }
      default:
      // Numbers, names and space say nothing of fields.
    }
  }
  return [...found];
}

/** Where the string that begins at a quote has ended. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return end + 1;
  }
  return text.length;
}

function isKey(text: string, end: number): boolean {
  let at = end;
  while (' \t\r\n'.includes(text.charAt(at)) && at < text.length) at += 1;
  return text.charCodeAt(at) === COLON;
}

function stringOf(quoted: string): string {
  return quoted.includes('\\') ? String(JSON.parse(quoted)) : quoted.slice(1, -1);
}

function wayOf(levels: readonly Level[]): string {
  return levels.reduce((way, { at }) => {
    if (typeof at === 'number') return `${way}[${at}]`;
    return way === '' ? at : `${way}.${at}`;
  }, '');
}
