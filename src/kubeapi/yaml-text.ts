import { isJsonObject } from '../common/json-object.ts';
import { quoted, type TextStyle, textStyle } from './yaml-scalar.ts';

/** Columns after which a text goes on in the next line, where it has a space. */
const WIDTH = 80;

/**
 * JSON values as YAML, in the form in which kubectl writes it to the byte: lists as far left as their key, texts in
 * quotes only where they need some, texts with lines as blocks. Keys stay in their order.
 *
 * @see docs/adr/0013-kubectls-forms-of-our-own.md
 */
export function formatYaml(value: unknown): string {
  if (isJsonObject(value) && Object.keys(value).length > 0) return mapText(value, 0);
  return Array.isArray(value) && value.length > 0 ? listText(value, 0) : `${scalarText(value, 0, 0)}\n`;
}

/** Its first line stands where the writer is; the others are indented. */
function mapText(map: Readonly<Record<string, unknown>>, indent: number): string {
  return Object.entries(map)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => {
      const name = keyText(key);
      if (isJsonObject(value) && Object.keys(value).length > 0) {
        return `${name}:\n${' '.repeat(indent + 2)}${mapText(value, indent + 2)}`;
      }
      if (Array.isArray(value) && value.length > 0) return `${name}:\n${' '.repeat(indent)}${listText(value, indent)}`;
      return `${name}: ${scalarText(value, indent + 2, indent + Array.from(name).length + 2)}\n`;
    })
    .join(' '.repeat(indent));
}

function listText(list: readonly unknown[], indent: number): string {
  return list
    .map((value) => {
      if (isJsonObject(value) && Object.keys(value).length > 0) return `- ${mapText(value, indent + 2)}`;
      if (Array.isArray(value) && value.length > 0) return `- ${listText(value, indent + 2)}`;
      return `- ${scalarText(value, indent + 2, indent + 2)}\n`;
    })
    .join(' '.repeat(indent));
}

function keyText(key: string): string {
  const style = textStyle(key);
  return quoted(key, style === 'block' ? 'double' : style === 'plain' && key === '' ? 'single' : style);
}

/**
 * @param indent of further lines
 * @param column where it begins
 */
function scalarText(value: unknown, indent: number, column: number): string {
  if (isJsonObject(value)) return '{}';
  if (Array.isArray(value)) return '[]';
  if (typeof value !== 'string') return JSON.stringify(value ?? null);
  const style = textStyle(value);
  return style === 'block' ? blockText(value, indent) : folded(quoted(value, style), { style, indent, column });
}

function blockText(text: string, indent: number): string {
  const hint = /^[ \n]/.test(text) ? '2' : '';
  const chomp = !text.endsWith('\n') ? '-' : text === '\n' || text.endsWith('\n\n') ? '+' : '';
  const lines = text.replace(/\n$/, '').split('\n');
  return `|${hint}${chomp}\n${lines.map((line) => (line === '' ? '' : ' '.repeat(indent) + line)).join('\n')}`;
}

/** Breaks the line at the first space behind the width. */
function folded(
  text: string,
  { style, indent, column }: { readonly style: TextStyle; readonly indent: number; readonly column: number },
): string {
  let written = '';
  let at = column;
  const letters = Array.from(text);
  for (const [index, letter] of letters.entries()) {
    const next = letters[index + 1];
    const isInside = style === 'plain' || (index > 1 && index < letters.length - 2);
    const breaks = letter === ' ' && letters[index - 1] !== ' ' && at > WIDTH && isInside;
    if (breaks && (style === 'double' || next !== ' ')) {
      written += `\n${' '.repeat(indent)}${next === ' ' ? '\\' : ''}`;
      at = indent + (next === ' ' ? 1 : 0);
      continue;
    }
    written += letter;
    at += 1;
  }
  return written;
}
