import type { Path, SliceBound, Step, Template } from './step.ts';
import { unquote } from './unquote.ts';

const INDEX = /^(-?\d*)(:-?\d*)?(:-?\d*)?$/;
const COMPARISON = /^([^!<>=]+)([!<>=]+)(.+?)$/;
const TERMINATORS = new Set([' ', '\t', '\r', '\n', '', '.', ',', '[', ']', '$', '@', '{', '}']);

/**
 * Reads kubectl's dialect of JSONPath: text with paths in braces, `range` and `end`, filters, wildcards, slices, unions,
 * recursive descent, quoted text with Go's escapes, and `\.` for a dot in a name.
 *
 * @throws Error in kubectl's words
 * @see client-go util/jsonpath
 */
export function parseTemplate(text: string): Template {
  return new TemplateReader(text).template();
}

/** The steps of `{text}`. */
function parsePath(text: string): Path {
  return parseTemplate(`{${text}}`)[0] ?? [];
}

class TemplateReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  template(): Template {
    const parts: Path[] = [];
    while (this.#at < this.#text.length) {
      const brace = this.#text.indexOf('{', this.#at);
      const end = brace < 0 ? this.#text.length : brace;
      if (end > this.#at) parts.push([{ kind: 'text', text: this.#text.slice(this.#at, end) }]);
      this.#at = end;
      if (brace < 0) break;
      this.#at += 1;
      parts.push(this.#action());
    }
    return parts;
  }

  /** What stands in braces, up to and with the closing one. */
  #action(): Path {
    const steps: Step[] = [];
    for (;;) {
      const { step, isEnd } = this.#next(steps);
      steps.push(...step);
      if (isEnd) return steps;
    }
  }

  #next(before: readonly Step[]): { readonly step: readonly Step[]; readonly isEnd: boolean } {
    const on = (...step: Step[]): { step: readonly Step[]; isEnd: boolean } => ({ step, isEnd: false });
    if (this.#takes('}')) return { step: [], isEnd: true };
    if (this.#takes('[?(')) return on(this.#filter());
    if (this.#takes('..')) return on(...this.#descent(before));
    const letter = this.#peek();
    if (letter === '' || letter === '\n' || letter === '\r') throw new Error('unclosed action');
    if (/[+\-\p{Nd}]/u.test(letter)) return on(this.#number());
    if (/[_\p{L}]/u.test(letter)) return on(this.#word());
    this.#at += letter.length;
    switch (letter) {
      case ' ':
      case '@':
      case '$':
        return on();
      case '[':
        return on(...this.#array());
      case '"':
      case "'":
        return on({ kind: 'text', text: this.#quoted(letter) });
      case '.':
        return on(this.#field());
      default:
        throw new Error(`unrecognized character in action: ${named(letter)}`);
    }
  }

  #descent(before: readonly Step[]): Step[] {
    if (before.at(-1)?.kind === 'descent') throw new Error('invalid multiple recursive descent');
    const descent: Step = { kind: 'descent' };
    return /[_\p{L}\p{Nd}]/u.test(this.#peek()) ? [descent, this.#field()] : [descent];
  }

  #field(): Step {
    let raw = '';
    for (let letter = this.#peek(); !TERMINATORS.has(letter); letter = this.#peek()) {
      this.#at += letter.length;
      raw += letter === '\\' ? this.#take() : letter;
    }
    return raw === '*' ? { kind: 'wildcard' } : { kind: 'field', name: raw.replaceAll('\\', '') };
  }

  #word(): Step {
    const word = this.#takeWhile((letter) => !TERMINATORS.has(letter));
    return word === 'true' || word === 'false' ? { kind: 'literal', value: word === 'true' } : { kind: 'word', word };
  }

  #number(): Step {
    const sign = /[+-]/.test(this.#peek()) ? this.#take() : '';
    const text = sign + this.#takeWhile((letter) => /[.\p{Nd}]/u.test(letter));
    if (!/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(text)) throw new Error(`cannot parse number ${text}`);
    return { kind: 'literal', value: Number(text) };
  }

  #quoted(quote: string): string {
    const start = this.#at - 1;
    for (let letter = this.#take(); ; letter = this.#take()) {
      if (letter === '' || letter === '\n') throw new Error('unterminated quoted string');
      if (letter === quote && this.#text[this.#at - 2] !== '\\') break;
    }
    return unquote(this.#text.slice(start, this.#at));
  }

  #array(): Step[] {
    const start = this.#at;
    for (let letter = this.#take(); letter !== ']'; letter = this.#take()) {
      if (letter === '' || letter === '\n') throw new Error('unterminated array');
    }
    const inner = this.#text.slice(start, this.#at - 1);
    const ways = inner.split(',');
    if (ways.length > 1) {
      return [{ kind: 'union', ways: ways.map((way) => parsePath(`[${way.replace(/^ +| +$/g, '')}]`)) }];
    }
    const [, key] = /^'([^']*)'$/.exec(inner) ?? [];
    return key === undefined ? [sliceOf(inner === '*' ? ':' : inner)] : [...parsePath(`.${key}`)];
  }

  /** `[?(` has been taken. A quote is looked for at most once on the right side, as kubectl does. */
  #filter(): Step {
    const start = this.#at;
    let opened: string | undefined;
    let isClosed = false;
    for (let letter = this.#take(); ; letter = this.#take()) {
      if (letter === '' || letter === '\n') throw new Error('unterminated filter');
      if (letter === ')' && (opened !== undefined) === isClosed) break;
      if (letter !== '"' && letter !== "'") continue;
      if (opened === undefined) opened = letter;
      else if (letter === opened && this.#text[this.#at - 2] !== '\\') isClosed = true;
    }
    const inner = this.#text.slice(start, this.#at - 1);
    if (this.#take() !== ']') throw new Error('unclosed array expect ]');
    const [, left, operator = '', right = ''] = COMPARISON.exec(inner) ?? [];
    if (left === undefined) return { kind: 'exists', way: parsePath(inner) };
    return { kind: 'filter', left: parsePath(left), operator, right: parsePath(right) };
  }

  /** The next letter; '' at the end. */
  #peek(): string {
    const point = this.#text.codePointAt(this.#at);
    return point === undefined ? '' : String.fromCodePoint(point);
  }

  #take(): string {
    const letter = this.#peek();
    this.#at += letter.length;
    return letter;
  }

  #takes(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #takeWhile(belongs: (letter: string) => boolean): string {
    const start = this.#at;
    for (let letter = this.#peek(); letter !== '' && belongs(letter); letter = this.#peek()) this.#at += letter.length;
    return this.#text.slice(start, this.#at);
  }
}

function sliceOf(text: string): Step {
  const [whole, from = '', to, step] = INDEX.exec(text) ?? [];
  if (whole === undefined) throw new Error(`invalid array index ${text}`);
  const begin = boundOf(from);
  return {
    kind: 'slice',
    from: begin,
    to: to === undefined ? { value: (begin.value ?? 0) + 1, derived: true } : boundOf(to.slice(1)),
    step: boundOf(step?.slice(1) ?? ''),
  };
}

function boundOf(text: string): SliceBound {
  if (text === '') return {};
  if (text === '-') throw new Error(`array index ${text} is not a number`);
  return { value: Number(text) };
}

/** A letter as Go's %#U shows it. */
function named(letter: string): string {
  const code = `U+${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
  return /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(letter) ? `${code} '${letter}'` : code;
}
