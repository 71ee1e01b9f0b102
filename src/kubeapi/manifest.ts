import type { z as Zod } from 'zod';
import { ExecPathError } from '../common/errors.ts';
import type { KubeObject } from './object-meta.ts';
import type { Pod } from './pod.ts';
import { podSchema } from './pod-schema.ts';
import { parseYaml } from './yaml.ts';

/** Broken rules that one message lists. */
const MAX_LISTED_ISSUES = 10;

/**
 * Reads the objects of a manifest: YAML or JSON, one or several documents, `List`s taken apart.
 *
 * @param source its file name or `-`, for errors
 * @throws ExecPathError ERR_MANIFEST naming source, document and field
 */
export async function parseManifests(text: string, source: string): Promise<KubeObject[]> {
  const documents = await parseYaml(text, source);
  return documents.flatMap((document, index) => {
    const where = documents.length === 1 ? source : `${source}, document ${index + 1}`;
    return objectsOf(withoutNulls(document), where);
  });
}

function objectsOf(value: unknown, where: string): KubeObject[] {
  const object = mapping(value, where);
  const { kind, apiVersion, metadata, items } = object;
  if (typeof kind !== 'string') throw refuse(`${where}: kind is missing`);
  if (typeof apiVersion !== 'string') throw refuse(`${where}: apiVersion is missing`);
  if (kind.endsWith('List') && Array.isArray(items)) {
    return items.flatMap((item, index) => objectsOf(item, `${where}: items[${index}]`));
  }
  const { name, generateName } = mapping(metadata, `${where}: metadata`);
  if (name === undefined && typeof generateName === 'string') {
    return [{ ...object, metadata: { ...mapping(metadata, where), name: '' } }];
  }
  if (name === undefined || name === '') throw refuse(`${where}: metadata.name is missing`);
  if (typeof name !== 'string') throw refuse(`${where}: metadata.name must be text (quote it), not ${quote(name)}`);
  return [object as unknown as KubeObject];
}

function mapping(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refuse(`${where} ${value === undefined ? 'is missing' : 'is not a mapping'}`);
  }
  return value as Record<string, unknown>;
}

/**
 * Reads the manifest of one pod.
 *
 * @throws ExecPathError ERR_MANIFEST naming source and field
 */
export async function parsePodManifest(text: string, source: string): Promise<Pod> {
  const documents = await parseYaml(text, source);
  if (documents.length !== 1) throw refuse(`${source} holds ${documents.length} documents, not one pod`);
  return validatePod(documents[0], source);
}

let loaded: Promise<Zod.ZodType> | undefined;

/**
 * Checks what somebody sent as a Pod. Fields that are not known pass; nulls are left out, as they mean absent.
 *
 * @param source a file name or `the request`, for errors
 * @throws ExecPathError ERR_MANIFEST naming each field that breaks a rule
 */
export async function validatePod(value: unknown, source: string): Promise<Pod> {
  // Loaded when the first pod comes: 50 ms that exec and get need not pay.
  loaded ??= import('zod').then(({ z }) => podSchema(z));
  const schema = await loaded;
  const result = schema.safeParse(withoutNulls(value), { reportInput: true });
  if (result.success) return result.data as Pod;
  const { issues } = result.error;
  const listed = issues.slice(0, MAX_LISTED_ISSUES).map((issue) => describeIssue(issue));
  const more = issues.length > listed.length ? `; and ${issues.length - listed.length} more` : '';
  throw refuse(`${source} is not a pod: ${listed.join('; ')}${more}`, result.error);
}

/** `spec.containers[0].name must be text, not the number 5` */
function describeIssue(issue: Zod.core.$ZodIssue): string {
  const path = issue.path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}${text === '' ? '' : '.'}${String(key)}`),
    '',
  );
  const name = path === '' ? 'it' : path;
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined
        ? `${name} is missing`
        : `${name} must be ${words[issue.expected] ?? issue.expected}, not ${quote(issue.input)}`;
    case 'invalid_value':
      return issue.input === undefined
        ? `${name} is missing`
        : `${name} must be ${issue.values.map((value) => quote(value)).join(' or ')}, not ${quote(issue.input)}`;
    case 'too_big':
      return `${name} must be at most ${issue.maximum}, not ${quote(issue.input)}`;
    case 'too_small':
      if (issue.origin === 'array') return `${name} ${issue.message}`;
      return issue.origin === 'string'
        ? `${name} must not be empty`
        : `${name} must be at least ${issue.minimum}, not ${quote(issue.input)}`;
    case 'invalid_format':
      return `${name} ${quote(issue.input)} ${issue.message}`;
    case 'invalid_union':
    case 'custom':
    case 'invalid_element':
    case 'invalid_key':
    case 'not_multiple_of':
    case 'unrecognized_keys':
      return `${name} ${issue.message}`;
  }
}

const words: Readonly<Record<string, string>> = {
  string: 'text (quote it)',
  boolean: 'true or false',
  number: 'a number',
  int: 'a whole number',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 64 ? `${text.slice(0, 60)} …` : text;
}

/** In Go a null field is an absent one. Items of lists stay, to be refused where they stand. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutNulls(item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, field]) => (field === null ? [] : [[key, withoutNulls(field)]])),
  );
}

function refuse(message: string, cause?: unknown): ExecPathError {
  return new ExecPathError('ERR_MANIFEST', message, { cause });
}
