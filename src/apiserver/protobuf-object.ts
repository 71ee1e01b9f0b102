import type { JsonObject } from '../common/json-object.ts';
import { badRequest } from './api-error.ts';
import { structOf } from './api-schema.ts';
import { bytesAt, textAt } from './protobuf-message.ts';
import { decodeProtobufTyped } from './typed-protobuf.ts';

/** How kubectl's typed clients and a kubelet with its default configuration send objects. */
export const PROTOBUF_MEDIA_TYPE = 'application/vnd.kubernetes.protobuf';

/** `k8s\0`: every protobuf body begins with it. */
const MAGIC = Buffer.from('6b387300', 'hex');

/**
 * Reads a protobuf body into the JSON form of its object. Of a kind that is not served there is its name alone, by which
 * whoever wanted another refuses it, as with JSON.
 *
 * @throws ExecPathError ERR_BAD_REQUEST for broken bytes and for an object that names no kind
 * @see apimachinery runtime.Unknown (http-surfaces.md 3.4)
 */
export function decodeProtobuf(body: Buffer): JsonObject {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw badRequest('a protobuf body begins with the bytes 6b387300');
  // What the object is stands in field 1, the object in field 2.
  const envelope = body.subarray(MAGIC.length);
  const typeMeta = bytesAt(envelope, 1);
  const [apiVersion, kind] = [textAt(typeMeta, 1), textAt(typeMeta, 2)];
  if (kind === '') throw badRequest('the protobuf body names no kind');
  // The other group's Event has other numbers.
  const isServed = structOf(kind)?.has('kind') === true && (kind !== 'Event' || apiVersion === 'v1');
  return { ...(isServed ? decodeProtobufTyped(bytesAt(envelope, 2), kind) : {}), apiVersion, kind };
}
