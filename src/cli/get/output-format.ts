import { parseTemplate } from '../jsonpath/parse-template.ts';
import { relaxedPath } from '../jsonpath/relaxed-path.ts';
import type { Template } from '../jsonpath/step.ts';
import { reworded, UsageError } from '../usage-error.ts';

/** One column of `-o custom-columns`. */
export interface CustomColumn {
  readonly title: string;
  readonly path: Template;
}

/** How objects are shown: what `-o` says. */
export type OutputFormat =
  | { readonly kind: 'table'; readonly wide: boolean }
  | { readonly kind: 'json' | 'yaml' | 'name' }
  | { readonly kind: 'jsonpath'; readonly text: string; readonly template: Template; readonly asJson: boolean }
  | { readonly kind: 'custom-columns'; readonly columns: readonly CustomColumn[] };

/** A format that is not whole before its file has been read. */
export interface FormatFile {
  readonly path: string;
  readonly kind: 'file';
  /** @throws UsageError for a text that is no such format */
  readonly read: (text: string) => OutputFormat;
}

/** The words of `-o`, for help, completion and errors. */
export const formatWords = [
  'wide',
  'json',
  'yaml',
  'name',
  'jsonpath',
  'jsonpath-as-json',
  'jsonpath-file',
  'custom-columns',
  'custom-columns-file',
] as const;

const GO_TEMPLATES = ['go-template', 'go-template-file', 'template', 'templatefile'];

/**
 * Reads the value of `-o`.
 *
 * @param output such as `wide` or `jsonpath={.items[*].metadata.name}`; '' is a table
 * @param argument of `--template`, which may stand in for what follows the `=`
 * @throws UsageError in kubectl's words
 */
export function outputFormat(output: string, argument = ''): OutputFormat | FormatFile {
  const [, word = '', written] = /^([^=]*)(?:=(.*))?$/s.exec(output) ?? [];
  const text = argument === '' ? (written ?? '') : argument;
  if (GO_TEMPLATES.includes(word) || (output === '' && argument !== '')) throw new UsageError(goTemplates(word));
  switch (word) {
    case '':
      return { kind: 'table', wide: false };
    case 'wide':
      return { kind: 'table', wide: true };
    case 'json':
    case 'yaml':
    case 'name':
      return { kind: word };
    case 'jsonpath':
    case 'jsonpath-as-json':
      return jsonpath(needed(text, 'template format specified but no template given'), word === 'jsonpath-as-json');
    case 'jsonpath-file':
      return file(needed(text, 'template format specified but no template given'), (read) => jsonpath(read, false));
    case 'custom-columns':
      return customColumns(needed(text, 'custom-columns format specified but no custom columns given'));
    case 'custom-columns-file':
      return file(needed(text, 'custom-columns format specified but no custom columns given'), columnsOfFile);
    default:
      throw new UsageError(
        `unable to match a printer suitable for the output format ${JSON.stringify(output)}, ` +
          `allowed formats are: ${[...formatWords].sort().join(',')}`,
      );
  }
}

function goTemplates(word: string): string {
  const said = word === '' ? '--template without -o' : `-o ${word}`;
  return `${said} means a Go template, which podwire has not: -o jsonpath=… and -o custom-columns=… show single fields`;
}

function needed(text: string, otherwise: string): string {
  if (text === '') throw new UsageError(otherwise);
  return text;
}

function file(path: string, read: FormatFile['read']): FormatFile {
  return { kind: 'file', path, read };
}

function jsonpath(text: string, asJson: boolean): OutputFormat {
  return {
    kind: 'jsonpath',
    text,
    template: reworded(() => parseTemplate(text), `error parsing jsonpath ${text}, `),
    asJson,
  };
}

function customColumns(text: string): OutputFormat {
  const columns = text.split(',').map((part) => {
    const at = part.indexOf(':');
    if (at < 0) throw new UsageError(`unexpected custom-columns spec: ${part}, expected <header>:<json-path-expr>`);
    return columnOf(part.slice(0, at), part.slice(at + 1));
  });
  return { kind: 'custom-columns', columns };
}

/** Two lines: titles and their paths, with blanks between. */
function columnsOfFile(text: string): OutputFormat {
  const [titles = [], paths] = text
    .split('\n')
    .slice(0, text.endsWith('\n') ? -1 : undefined)
    .map((line) => line.split(/\s+/).filter((word) => word !== ''));
  if (text === '' || paths === undefined) {
    const missing = text === '' ? 'header' : 'spec';
    throw new UsageError(
      `invalid template, missing ${missing} line. Expected format is one line of space separated headers, ` +
        'one line of space separated column specs.',
    );
  }
  if (titles.length !== paths.length) {
    throw new UsageError(`number of headers (${titles.length}) and field specifications (${paths.length}) don't match`);
  }
  return { kind: 'custom-columns', columns: titles.map((title, index) => columnOf(title, paths[index] ?? '')) };
}

function columnOf(title: string, path: string): CustomColumn {
  return { title, path: reworded(() => parseTemplate(relaxedPath(path)), '') };
}
