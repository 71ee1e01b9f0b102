import type { OpenApiSchema } from './openapi-schema.ts';
import { encodeField } from './protobuf-message.ts';

/** OpenAPI v2 as protobuf. kubectl asks for it with `v2@v1.0`, which its own parser of media types does not take. */
export const OPENAPI_V2_PROTOBUF = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/** What may be said in the query of an operation. */
export interface QueryParameter {
  readonly name: string;
  readonly in: 'query';
  readonly description: string;
  readonly type: 'string';
}

/** The one operation of a path that clients look at: does it know dry-run? */
export interface PatchOperation {
  readonly operationId: string;
  readonly parameters: readonly QueryParameter[];
  readonly 'x-kubernetes-group-version-kind': unknown;
}

export interface OpenApiV2Document {
  readonly swagger: '2.0';
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, { readonly patch: PatchOperation }>>;
  readonly definitions: Readonly<Record<string, OpenApiSchema>>;
}

/**
 * Writes an OpenAPI v2 document as protobuf.
 *
 * @see google/gnostic-models openapiv2/OpenAPIv2.proto: the numbers of its fields
 */
export function encodeOpenApiV2({ swagger, info, paths, definitions }: OpenApiV2Document): Buffer {
  return Buffer.concat([
    encodeField(1, swagger),
    encodeField(2, Buffer.concat([encodeField(1, info.title), encodeField(2, info.version)])),
    encodeField(8, encodePaths(paths)),
    encodeField(9, encodeNamed(definitions)),
  ]);
}

function encodePaths(paths: OpenApiV2Document['paths']): Buffer {
  const entries = Object.entries(paths).map(([name, { patch }]) => {
    const item = encodeField(8, encodeOperation(patch));
    return encodeField(2, Buffer.concat([encodeField(1, name), encodeField(2, item)]));
  });
  return Buffer.concat(entries);
}

function encodeOperation({ operationId, parameters, ...extensions }: PatchOperation): Buffer {
  const encoded = parameters.map(({ name, in: place, description, type }) => {
    const query = [encodeField(2, place), encodeField(3, description), encodeField(4, name), encodeField(6, type)];
    const parameter = encodeField(2, encodeField(3, Buffer.concat(query)));
    return encodeField(8, encodeField(1, parameter));
  });
  const named = Object.entries(extensions).map(([name, value]) => encodeExtension(13, name, value));
  return Buffer.concat([encodeField(5, operationId), ...encoded, ...named]);
}

/** Extensions are YAML, of which JSON is a part. */
function encodeExtension(number: number, name: string, value: unknown): Buffer {
  const any = encodeField(2, JSON.stringify(value));
  return encodeField(number, Buffer.concat([encodeField(1, name), encodeField(2, any)]));
}

/** A map is a list of messages of a name and a schema. */
function encodeNamed(schemas: Readonly<Record<string, OpenApiSchema>>): Buffer {
  const entries = Object.entries(schemas).map(([name, schema]) =>
    encodeField(1, Buffer.concat([encodeField(1, name), encodeField(2, encodeSchema(schema))])),
  );
  return Buffer.concat(entries);
}

function encodeSchema(schema: OpenApiSchema): Buffer {
  const { $ref, format, description, required = [], additionalProperties, type, items, properties } = schema;
  const fields: Buffer[] = [];
  if ($ref !== undefined) fields.push(encodeField(1, $ref));
  if (format !== undefined) fields.push(encodeField(2, format));
  if (description !== undefined && description !== '') fields.push(encodeField(4, description));
  for (const name of required) fields.push(encodeField(19, name));
  for (const value of schema.enum ?? []) fields.push(encodeField(20, encodeField(2, JSON.stringify(value))));
  if (additionalProperties !== undefined) {
    fields.push(encodeField(21, encodeField(1, encodeSchema(additionalProperties))));
  }
  if (type !== undefined) fields.push(encodeField(22, encodeField(1, type)));
  if (items !== undefined) fields.push(encodeField(23, encodeField(1, encodeSchema(items))));
  if (properties !== undefined) fields.push(encodeField(25, encodeNamed(properties)));
  for (const [name, value] of Object.entries(schema)) {
    if (name.startsWith('x-kubernetes-')) fields.push(encodeExtension(31, name, value));
  }
  return Buffer.concat(fields);
}
