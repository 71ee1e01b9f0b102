import { badRequest, invalidField } from './api-error.ts';
import { int64Of, isGreater } from './int64.ts';
import { labelValueFaults, qualifiedNameFaults } from './object-names.ts';

export type Labels = Readonly<Record<string, string>>;

/** One condition of a label selector; all of them must hold. */
type Requirement =
  | { readonly key: string; readonly operator: 'exists' | 'absent' }
  | { readonly key: string; readonly operator: 'in' | 'notIn'; readonly values: readonly string[] }
  | { readonly key: string; readonly operator: 'above' | 'below'; readonly bound: string };

/**
 * Reads a selector such as `app=web,tier in (a,b),!canary,rank>3` into a predicate. An empty one selects everything.
 *
 * @throws ApiError ERR_BAD_REQUEST in upstream's words
 * @see kubernetes/apimachinery pkg/labels/selector.go
 */
export function parseLabelSelector(text: string): (labels: Labels | undefined) => boolean {
  const requirements = new SelectorParser(text).requirements();
  return (labels = {}) => requirements.every((requirement) => holds(requirement, labels));
}

/** `word` is a key or a value, also where it is `in` or `notin`; `end` comes after the last. */
interface Token {
  readonly kind: 'word' | 'symbol' | 'end';
  readonly text: string;
}

const END: Token = { kind: 'end', text: '' };

function tokensOf(text: string): Token[] {
  return [...text.matchAll(/(?<symbol>==|!=|[=!(),<>])|[^\s=!(),<>]+/g)].map(
    ({ 0: found, groups }): Token => ({ kind: groups?.['symbol'] === undefined ? 'word' : 'symbol', text: found }),
  );
}

/** Reads one selector, from its first token to its end. */
class SelectorParser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }

  requirements(): Requirement[] {
    const found: Requirement[] = [];
    if (this.#isOver) return found;
    if (!this.#startsRequirement) throw badRequest(`${this.#found}, expected: !, identifier, or 'end of string'`);
    for (;;) {
      found.push(this.#requirement());
      if (this.#isOver) return found;
      if (!this.#takes(',')) throw badRequest(`${this.#found}, expected: ',' or 'end of string'`);
      if (!this.#startsRequirement) throw badRequest(`${this.#found}, expected: identifier after ','`);
    }
  }

  get #next(): Token {
    return this.#tokens[this.#at] ?? END;
  }

  get #found(): string {
    return `found '${this.#next.text}'`;
  }

  get #startsRequirement(): boolean {
    return this.#next.kind === 'word' || this.#isSymbol('!');
  }

  get #isOver(): boolean {
    return this.#next.kind === 'end';
  }

  get #isAtItsEnd(): boolean {
    return this.#isOver || this.#isSymbol(',');
  }

  #isSymbol(text: string): boolean {
    return this.#next.kind === 'symbol' && this.#next.text === text;
  }

  #takes(symbol: string): boolean {
    if (!this.#isSymbol(symbol)) return false;
    this.#at += 1;
    return true;
  }

  #word(expected = ', expected: identifier'): string {
    if (this.#next.kind !== 'word') throw unparsed(`${this.#found}${expected}`);
    const { text } = this.#next;
    this.#at += 1;
    return text;
  }

  #requirement(): Requirement {
    const isAbsent = this.#takes('!');
    const key = this.#word();
    checkPart('<nil>', key, qualifiedNameFaults(key));
    if (isAbsent) return { key, operator: 'absent' };
    if (this.#isAtItsEnd) return { key, operator: 'exists' };
    const operator = this.#next.text;
    if (!binaryOperators.includes(operator)) {
      throw unparsed(`${this.#found}, expected: in, notin, =, ==, !=, gt, lt`);
    }
    this.#at += 1;
    if (operator === '<' || operator === '>') {
      const bound = this.#value();
      if (int64Of(bound) === undefined) {
        checkPart('values[0]', bound, ["for 'Gt', 'Lt' operators, the value must be an integer"]);
      }
      return { key, operator: operator === '>' ? 'above' : 'below', bound };
    }
    const values = operator === 'in' || operator === 'notin' ? this.#set() : [this.#value()];
    for (const [at, value] of values.entries()) checkPart(`values[${at}][${key}]`, value, labelValueFaults(value));
    return { key, operator: operator === 'notin' || operator === '!=' ? 'notIn' : 'in', values };
  }

  #value(): string {
    return this.#isAtItsEnd ? '' : this.#word();
  }

  /** `(a,b)`, in order; what is between two commas, or a comma and a bracket, may be nothing. */
  #set(): string[] {
    if (!this.#takes('(')) throw unparsed(`${this.#found} expected: '('`);
    if (this.#next.kind !== 'word' && !this.#isSymbol(',') && !this.#isSymbol(')')) {
      throw unparsed(`${this.#found}, expected: ',', ')' or identifier`);
    }
    const values = new Set<string>();
    for (;;) {
      values.add(this.#isSymbol(',') || this.#isSymbol(')') ? '' : this.#word(", expected: ',', or identifier"));
      if (this.#takes(')')) return [...values].sort();
      if (!this.#takes(',')) throw unparsed(`${this.#found}, expected: ',' or ')'`);
    }
  }
}

const binaryOperators: readonly string[] = ['in', 'notin', '=', '==', '!=', '<', '>'];

function checkPart(path: string, value: string, faults: readonly string[]): void {
  if (faults.length === 0) return;
  throw unparsed(`${path}: ${invalidField(path, value, faults.join('; ')).message}`);
}

function unparsed(why: string): Error {
  return badRequest(`unable to parse requirement: ${why}`);
}

function holds(requirement: Requirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
  switch (requirement.operator) {
    case 'exists':
      return value !== undefined;
    case 'absent':
      return value === undefined;
    case 'in':
      return value !== undefined && requirement.values.includes(value);
    // An object without the label is selected too.
    case 'notIn':
      return value === undefined || !requirement.values.includes(value);
    case 'above':
      return value !== undefined && isGreater(value, requirement.bound);
    case 'below':
      return value !== undefined && isGreater(requirement.bound, value);
  }
}
