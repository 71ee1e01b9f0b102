import { ExecPathError } from '../common/errors.ts';
import { badRequest } from './api-error.ts';
import type { JsonObject } from './api-object.ts';
import { protobufFields } from './protobuf-message.ts';

/** How kubectl's typed clients and a kubelet with its default configuration send objects. */
export const PROTOBUF_MEDIA_TYPE = 'application/vnd.kubernetes.protobuf';

/** `k8s\0`: every protobuf body begins with it. */
const MAGIC = Buffer.from('6b387300', 'hex');

/** How a field is read: as text, as a list of texts, as one of the shapes below, or as a map of texts. */
type FieldKind = 'text' | 'texts' | 'number' | 'textMap' | 'textsMap' | Shape;

/** Fields by number. A field that is not here is dropped. */
interface Shape {
  readonly [number: number]: readonly [name: string, kind: FieldKind];
}

const objectMeta: Shape = {
  1: ['name', 'text'],
  2: ['generateName', 'text'],
  3: ['namespace', 'text'],
  5: ['uid', 'text'],
  6: ['resourceVersion', 'text'],
  11: ['labels', 'textMap'],
  12: ['annotations', 'textMap'],
};
const resourceAttributes: Shape = {
  1: ['namespace', 'text'],
  2: ['verb', 'text'],
  3: ['group', 'text'],
  4: ['version', 'text'],
  5: ['resource', 'text'],
  6: ['subresource', 'text'],
  7: ['name', 'text'],
};
const nonResourceAttributes: Shape = { 1: ['path', 'text'], 2: ['verb', 'text'] };
const selfAccess: Shape = {
  1: ['resourceAttributes', resourceAttributes],
  2: ['nonResourceAttributes', nonResourceAttributes],
};
const access: Shape = {
  ...selfAccess,
  3: ['user', 'text'],
  4: ['groups', 'texts'],
  5: ['extra', 'textsMap'],
  6: ['uid', 'text'],
};
const review = (spec: Shape): Shape => ({ 1: ['metadata', objectMeta], 2: ['spec', spec] });
const preconditions: Shape = { 1: ['uid', 'text'], 2: ['resourceVersion', 'text'] };

/**
 * The kinds that are read from protobuf: what kubectl 1.32 has no JSON form for, and what a kubelet asks about callers.
 *
 * @see kubernetes/api and apimachinery, `protobuf` tags (http-surfaces.md 3.4)
 */
const shapes: Readonly<Record<string, Shape>> = {
  SelfSubjectAccessReview: review(selfAccess),
  SubjectAccessReview: review(access),
  LocalSubjectAccessReview: review(access),
  SelfSubjectRulesReview: review({ 1: ['namespace', 'text'] }),
  SelfSubjectReview: { 1: ['metadata', objectMeta] },
  TokenReview: review({ 1: ['token', 'text'], 2: ['audiences', 'texts'] }),
  Namespace: { 1: ['metadata', objectMeta] },
  ServiceAccount: { 1: ['metadata', objectMeta] },
  DeleteOptions: {
    1: ['gracePeriodSeconds', 'number'],
    2: ['preconditions', preconditions],
    4: ['propagationPolicy', 'text'],
    5: ['dryRun', 'texts'],
  },
};

/**
 * Reads a protobuf body into the JSON form of its object.
 *
 * @throws ExecPathError ERR_BAD_REQUEST for broken bytes, ERR_MEDIA_TYPE for a kind that is read from JSON alone
 */
export function decodeProtobuf(body: Buffer): JsonObject {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw badRequest('a protobuf body begins with the bytes 6b387300');
  const envelope = decodeMessage(body.subarray(MAGIC.length), {
    1: ['typeMeta', { 1: ['apiVersion', 'text'], 2: ['kind', 'text'] }],
  });
  const { apiVersion = '', kind = '' } = (envelope['typeMeta'] ?? {}) as { apiVersion?: string; kind?: string };
  const shape = Object.hasOwn(shapes, kind) ? shapes[kind] : undefined;
  if (shape === undefined) {
    throw new ExecPathError(
      'ERR_MEDIA_TYPE',
      `podwire reads ${JSON.stringify(kind)} from JSON alone, not from protobuf: send application/json ` +
        '(a kubelet does with contentType: application/json)',
      { hop: 'apiserver' },
    );
  }
  const fields = [...protobufFields(body.subarray(MAGIC.length))];
  const raw = fields.find((field) => field.number === 2 && field.wire === 'bytes')?.value;
  return { apiVersion, kind, ...decodeMessage(raw instanceof Uint8Array ? raw : new Uint8Array(), shape) };
}

function decodeMessage(message: Uint8Array, shape: Shape): JsonObject {
  const object = new Map<string, unknown>();
  for (const field of protobufFields(message)) {
    const [name, kind] = shape[field.number] ?? [];
    if (name === undefined || kind === undefined) continue;
    if (field.wire === 'varint') {
      if (kind === 'number') object.set(name, Number(BigInt.asIntN(64, field.value)));
      continue;
    }
    const text = (): string => new TextDecoder().decode(field.value);
    if (kind === 'text') object.set(name, text());
    else if (kind === 'texts') object.set(name, [...((object.get(name) as string[] | undefined) ?? []), text()]);
    else if (kind === 'textMap' || kind === 'textsMap') {
      object.set(name, { ...(object.get(name) as JsonObject | undefined), ...decodeMapEntry(field.value, kind) });
    } else if (kind !== 'number') object.set(name, decodeMessage(field.value, kind));
  }
  return Object.fromEntries(object);
}

/** A map is a list of messages with the key in field 1 and the value in field 2. */
function decodeMapEntry(entry: Uint8Array, kind: 'textMap' | 'textsMap'): JsonObject {
  const value: FieldKind = kind === 'textMap' ? 'text' : { 1: ['items', 'texts'] };
  const { key = '', value: decoded } = decodeMessage(entry, { 1: ['key', 'text'], 2: ['value', value] });
  if (kind === 'textMap') return { [String(key)]: decoded ?? '' };
  return { [String(key)]: (decoded as JsonObject | undefined)?.['items'] ?? [] };
}
