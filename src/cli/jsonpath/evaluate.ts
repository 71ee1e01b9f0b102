import { isJsonObject } from '../../common/json-object.ts';
import { sortedKeys } from '../../kubeapi/index.ts';
import { compare } from './compare.ts';
import { sprint, typeName } from './go-text.ts';
import type { Path, SliceBound, Step, Template } from './step.ts';

export interface EvaluateOptions {
  /** A field that is nowhere gives nothing; otherwise it is an error. Default true. */
  readonly allowMissingKeys?: boolean;
}

/**
 * What each part of a template finds in `data`: one list of values for each part that is shown, in order.
 *
 * @throws Error in kubectl's words
 * @see client-go util/jsonpath
 */
export function evaluate(template: Template, data: unknown, options: EvaluateOptions = {}): readonly unknown[][] {
  return new Evaluation(template, options.allowMissingKeys ?? true).block(0, [data], 0).found;
}

interface Block {
  readonly found: unknown[][];
  /** The part that ended the block; the template's length when none did. */
  readonly end: number;
}

class Evaluation {
  readonly #template: Template;
  readonly #allowMissing: boolean;

  constructor(template: Template, allowMissing: boolean) {
    this.#template = template;
    this.#allowMissing = allowMissing;
  }

  /** The parts from `start` to the `end` of the range that they stand in. @param depth of ranges around */
  block(start: number, values: readonly unknown[], depth: number): Block {
    const found: unknown[][] = [];
    for (let index = start; index < this.#template.length; index += 1) {
      const path = this.#template[index] ?? [];
      const results = this.#walk(path, values, depth);
      if (hasWord(path, 'end')) return { found, end: index };
      if (!hasWord(path, 'range')) {
        found.push([...results]);
        continue;
      }
      let end = this.#template.length;
      // An empty range is passed through once, with nothing, to find its end.
      for (const value of results) {
        const inner = this.block(index + 1, [value], depth + 1);
        found.push(...inner.found);
        end = inner.end;
      }
      if (results.length === 0) end = this.block(index + 1, [], depth + 1).end;
      if (end < this.#template.length) index = end;
    }
    return { found, end: this.#template.length };
  }

  #walk(path: Path, values: readonly unknown[], depth: number): readonly unknown[] {
    return path.reduce((now, step) => this.#step(step, now, depth), values);
  }

  #step(step: Step, values: readonly unknown[], depth: number): readonly unknown[] {
    switch (step.kind) {
      case 'text':
        return [step.text];
      case 'literal':
        return values.map(() => step.value);
      case 'field':
        return this.#field(step.name, values);
      case 'wildcard':
        return values.flatMap(childrenOf);
      case 'descent':
        return values.flatMap(withDescendants);
      case 'slice':
        return values.flatMap((value) => (value === null ? [] : sliced(value, step)));
      case 'union':
        return step.ways.flatMap((way) => this.#walk(way, values, depth));
      case 'exists':
        return values.flatMap((value) => listOf(value).filter((item) => this.#exists(step.way, item, depth)));
      case 'filter':
        return values.flatMap((value) => listOf(value).filter((item) => this.#passes(step, item, depth)));
      case 'word':
        if (step.word === 'end' && depth === 0) throw new Error('not in range, nothing to end');
        if (step.word === 'range') return values;
        if (step.word === 'end') return [];
        throw new Error(`unrecognized identifier ${step.word}`);
    }
  }

  #field(name: string, values: readonly unknown[]): readonly unknown[] {
    const found = values.flatMap((value) => (isJsonObject(value) && Object.hasOwn(value, name) ? [value[name]] : []));
    if (found.length === 0 && values.length > 0 && !this.#allowMissing) throw new Error(`${name} is not found`);
    return found;
  }

  #exists(way: Path, item: unknown, depth: number): boolean {
    try {
      return this.#walk(way, [item], depth).length > 0;
    } catch {
      return false;
    }
  }

  #passes(step: Step & { readonly kind: 'filter' }, item: unknown, depth: number): boolean {
    const sides: unknown[] = [];
    for (const path of [step.left, step.right]) {
      const [value, ...more] = this.#walk(path, [item], depth);
      if (value === undefined) return false;
      if (more.length > 0) throw new Error('can only compare one element at a time');
      sides.push(value);
    }
    return compare(sides[0], step.operator, sides[1]);
  }
}

function hasWord(path: Path, word: string): boolean {
  return path.some((step) => step.kind === 'word' && step.word === word);
}

/** Of a text its bytes, as Go has it. */
function childrenOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value === 'string') return [...Buffer.from(value)];
  return isJsonObject(value) ? sortedKeys(value).map((key) => value[key]) : [];
}

/** The value, when there is something in it, and then what is in it. */
function withDescendants(value: unknown): readonly unknown[] {
  const children = childrenOf(value);
  return children.length === 0 ? [] : [value, ...(typeof value === 'string' ? [] : children.flatMap(withDescendants))];
}

function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  const shown = value === undefined || value === null ? '<invalid reflect.Value>' : sprint(value);
  throw new Error(`${shown} is not array or slice and cannot be filtered`);
}

function sliced(
  value: unknown,
  bounds: { readonly from: SliceBound; readonly to: SliceBound; readonly step: SliceBound },
): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${typeName(value)} is not array or slice`);
  const { length } = value;
  const { value: step = 1 } = bounds.step;
  let { value: from = 0 } = bounds.from;
  let { value: to = length } = bounds.to;
  if (from < 0) from += length;
  if (to < 0 || (to === 0 && bounds.to.derived === true)) to += length;
  if (to === from) return [];
  const beyond = from >= length || from < 0 ? from : to > length || to < 0 ? to - 1 : undefined;
  if (beyond !== undefined) throw new Error(`array index out of bounds: index ${beyond}, length ${length}`);
  if (from > to) throw new Error(`starting index ${from} is greater than ending index ${to}`);
  if (step <= 0) throw new Error('step must be > 0');
  return value.slice(from, to).filter((_item, index) => index % step === 0);
}
