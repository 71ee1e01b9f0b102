import { badRequest } from './api-error.ts';

export type Labels = Readonly<Record<string, string>>;

/** One condition of a label selector; all of them must hold. */
type Requirement =
  | { readonly key: string; readonly operator: 'exists' | 'absent' }
  | { readonly key: string; readonly operator: 'in' | 'notIn'; readonly values: readonly string[] }
  | { readonly key: string; readonly operator: 'above' | 'below'; readonly bound: bigint };

const qualifiedName =
  /^(?:[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const labelValue = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** The longest name part of a key, and the longest value. */
const MAX_LABEL_CHARS = 63;

/** True for what may be a label's key: a name, with a DNS prefix and `/` before it or without. */
export function isQualifiedName(text: string): boolean {
  const name = text.slice(text.indexOf('/') + 1);
  return qualifiedName.test(text) && name.length <= MAX_LABEL_CHARS && text.length - name.length <= 254;
}

/** True for what may be a label's value; the empty string is one. */
export function isLabelValue(text: string): boolean {
  return labelValue.test(text) && text.length <= MAX_LABEL_CHARS;
}

/**
 * Reads a selector such as `app=web,tier in (a,b),!canary,rank>3` into a predicate. An empty one selects everything.
 *
 * @throws ExecPathError ERR_BAD_REQUEST
 * @see kubernetes/apimachinery pkg/labels/selector.go
 */
export function parseLabelSelector(text: string): (labels: Labels | undefined) => boolean {
  if (text.trim() === '') return () => true;
  const requirements = splitOutsideBrackets(text).map((part) => parseRequirement(part.trim(), text));
  return (labels = {}) => requirements.every((requirement) => holds(requirement, labels));
}

/** The commas within `in (…)` belong to it. */
function splitOutsideBrackets(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '(') depth += 1;
    else if (text[at] === ')') depth -= 1;
    else if (text[at] === ',' && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)];
}

function parseRequirement(part: string, selector: string): Requirement {
  const refuse = (why: string): Error =>
    badRequest(`unable to parse requirement: ${why} in ${JSON.stringify(selector)}`);
  const checkKey = (key: string): string => {
    if (isQualifiedName(key)) return key;
    throw refuse(`${JSON.stringify(key)} is not a label key`);
  };
  const checkValue = (value: string): string => {
    if (isLabelValue(value)) return value;
    throw refuse(`${JSON.stringify(value)} is not a label value`);
  };

  const set = /^(\S+)\s+(in|notin)\s*\((.*)\)$/.exec(part);
  if (set !== null) {
    const [, key = '', operator, list = ''] = set;
    const values = list.split(',').map((value) => checkValue(value.trim()));
    return { key: checkKey(key), operator: operator === 'in' ? 'in' : 'notIn', values };
  }
  const comparison = /^([^=!<>]+?)\s*(==|=|!=|>|<)\s*(.*)$/.exec(part);
  if (comparison !== null) {
    const [, key = '', operator, value = ''] = comparison;
    if (operator !== '>' && operator !== '<') {
      return { key: checkKey(key), operator: operator === '!=' ? 'notIn' : 'in', values: [checkValue(value)] };
    }
    if (!/^-?\d+$/.test(value)) throw refuse(`${JSON.stringify(value)} is not an integer`);
    return { key: checkKey(key), operator: operator === '>' ? 'above' : 'below', bound: BigInt(value) };
  }
  if (part.startsWith('!')) return { key: checkKey(part.slice(1).trim()), operator: 'absent' };
  return { key: checkKey(part), operator: 'exists' };
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
      return value !== undefined && /^-?\d+$/.test(value) && BigInt(value) > requirement.bound;
    case 'below':
      return value !== undefined && /^-?\d+$/.test(value) && BigInt(value) < requirement.bound;
  }
}
