import { badRequest } from './api-error.ts';

/** Values of the fields that a resource can be selected by; absent fields of the object are `''`. */
export type SelectableFields = Readonly<Record<string, string>>;

interface Term {
  readonly field: string;
  readonly value: string;
  readonly isEqual: boolean;
}

/**
 * A selector such as `spec.nodeName=n1,status.phase!=Failed`; all terms must hold.
 *
 * @see kubernetes/apimachinery pkg/fields/selector.go
 */
export class FieldSelector {
  readonly #terms: readonly Term[];

  constructor(terms: readonly Term[]) {
    this.#terms = terms;
  }

  /** The fields that it asks about. */
  get fields(): readonly string[] {
    return this.#terms.map(({ field }) => field);
  }

  get isEmpty(): boolean {
    return this.#terms.length === 0;
  }

  /** The one value that `field` must have, if there is a term that says so. */
  requiredValue(field: string): string | undefined {
    return this.#terms.find((term) => term.isEqual && term.field === field)?.value;
  }

  matches(fields: SelectableFields): boolean {
    return this.#terms.every(({ field, value, isEqual }) => ((fields[field] ?? '') === value) === isEqual);
  }
}

/**
 * Reads terms joined by commas, each `field=value`, `field==value` or `field!=value`; `\,`, `\=` and `\\` in a value
 * stand for the character itself. An empty text selects everything.
 *
 * @throws ExecPathError ERR_BAD_REQUEST
 */
export function parseFieldSelector(text: string): FieldSelector {
  const parts = splitUnescaped(text).filter((part) => part !== '');
  return new FieldSelector(
    parts.map((part) => {
      const [, field = '', operator, value = ''] = /^([^=!]*)(!=|==|=)((?:\\.|[^\\])*)$/s.exec(part) ?? [];
      if (operator === undefined) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
      return { field, value: unescape(value, text), isEqual: operator !== '!=' };
    }),
  );
}

function splitUnescaped(text: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === ',') {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)];
}

function unescape(value: string, selector: string): string {
  return value.replaceAll(/\\(.)|=/gs, (whole, escaped: string | undefined) => {
    if (escaped !== undefined && '\\,='.includes(escaped)) return escaped;
    throw badRequest(`invalid selector: '${selector}'; can't understand ${JSON.stringify(whole)} in a value`);
  });
}
