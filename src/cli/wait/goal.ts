import { parseTemplate } from '../jsonpath/parse-template.ts';
import { relaxedPath } from '../jsonpath/relaxed-path.ts';
import type { Template } from '../jsonpath/step.ts';
import { reworded, UsageError } from '../usage-error.ts';

/** What is waited for: that objects are there, that they are gone, or that each is as it must be. */
export type Goal =
  | { readonly kind: 'create' | 'delete' }
  /** A condition has a status; both in lower case. */
  | { readonly kind: 'condition'; readonly name: string; readonly status: string }
  /** The field of a path has a value, or any at all. */
  | { readonly kind: 'jsonpath'; readonly path: Template; readonly value: string | undefined };

/**
 * Reads `create`, `delete`, `condition=NAME[=VALUE]` or `jsonpath=PATH[=VALUE]`.
 *
 * @throws UsageError in kubectl's words
 */
export function parseGoal(text: string): Goal {
  const word = text.toLowerCase();
  if (word === 'create' || word === 'delete') return { kind: word };
  const [, form, rest = ''] = /^(condition|jsonpath)=(.*)$/s.exec(text) ?? [];
  if (form === 'condition') return conditionGoal(rest);
  if (form === 'jsonpath') return pathGoal(rest);
  const forms = 'create, delete, condition=NAME[=VALUE] and jsonpath=PATH[=VALUE]';
  throw new UsageError(`unrecognized condition: ${JSON.stringify(text)}; --for takes ${forms}`);
}

function conditionGoal(text: string): Goal {
  const [, name = '', status = 'true'] = /^([^=]*)(?:=(.*))?$/s.exec(text.toLowerCase()) ?? [];
  if (name === '') throw new UsageError('--for=condition= lacks the name of a condition, such as Ready');
  return { kind: 'condition', name, status };
}

function pathGoal(text: string): Goal {
  // An equals sign within brackets or braces belongs to a filter of the path.
  const [, path = '', equals, value = ''] = /^((?:\{[^}]*\}?|\[[^\]]*\]?|[^=[{])*)(?:(=)(.*))?$/s.exec(text) ?? [];
  if (path === '') throw new UsageError('jsonpath expression cannot be empty');
  const wanted = equals === undefined ? undefined : unquoted(value);
  if (wanted === '') {
    const example = "--for=jsonpath='{.status.readyReplicas}'=3";
    throw new UsageError(`jsonpath wait has to have a value after equal sign, like ${example}`);
  }
  return { kind: 'jsonpath', path: reworded(() => parseTemplate(relaxedPath(path)), ''), value: wanted };
}

function unquoted(text: string): string {
  return /^(["'])(.*)\1$/s.exec(text)?.[2] ?? text;
}
