import { create, type DescField, type DescMessage, equals, ScalarType } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFields } from '../../test/support/protobuf-fields.ts';
import { decodeMessage, encodeMessage } from '../grpc/index.ts';
import {
  ContainerConfigSchema,
  ContainerEventResponseSchema,
  ExecRequestSchema,
  file_runtime_v1_api,
  KeyValueSchema,
  PodSandboxConfigSchema,
  StatusResponseSchema,
} from './gen/runtime/v1/api_pb.ts';
import type { CriMessage } from './service.ts';

const scalars: Partial<Record<ScalarType, fc.Arbitrary<unknown>>> = {
  [ScalarType.STRING]: fc.string({ unit: 'grapheme', maxLength: 20 }),
  [ScalarType.BYTES]: fc.uint8Array({ maxLength: 20 }),
  [ScalarType.BOOL]: fc.boolean(),
  [ScalarType.INT32]: fc.integer(),
  [ScalarType.UINT32]: fc.nat({ max: 2 ** 32 - 1 }),
  [ScalarType.INT64]: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  [ScalarType.UINT64]: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  // NaN arrives, but equals nothing.
  [ScalarType.DOUBLE]: fc.double({ noNaN: true }),
};

/** Any message of `schema`; below `depth` levels its message fields stay unset. */
function messages(schema: DescMessage, depth: number): fc.Arbitrary<CriMessage> {
  const fields = schema.fields.filter((field) => depth > 0 || messageOf(field) === undefined);
  const record = Object.fromEntries(fields.map((field) => [field.localName, fieldValues(field, depth)]));
  return fc.record(record, { requiredKeys: [] }).map((init) => create(schema, init));
}

function messageOf(field: DescField): DescMessage | undefined {
  return field.fieldKind === 'map' ? undefined : (field.message ?? undefined);
}

function fieldValues(field: DescField, depth: number): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case 'map':
      return fc.dictionary(fc.string({ maxLength: 8 }), scalars[ScalarType.STRING]!, { maxKeys: 3 });
    case 'list':
      return fc.array(singleValues(field, depth), { maxLength: 3 });
    default:
      return singleValues(field, depth);
  }
}

function singleValues(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.message !== undefined) return messages(field.message, depth - 1);
  if (field.enum !== undefined) return fc.constantFrom(...field.enum.values.map(({ number }) => number));
  const values = field.scalar === undefined ? undefined : scalars[field.scalar];
  if (values === undefined) throw new Error(`no values for ${field.toString()}`);
  return values;
}

describe('messages', () => {
  it.each([PodSandboxConfigSchema, ContainerConfigSchema, ContainerEventResponseSchema, StatusResponseSchema])(
    'are the same after encoding and decoding: $typeName',
    (schema: DescMessage) => {
      fc.assert(
        fc.property(messages(schema, 3), (message) => {
          expect(equals(schema, decodeMessage(schema, encodeMessage(schema, message)), message)).toBe(true);
        }),
        { numRuns: 50 },
      );
    },
  );

  it('are the same after encoding and decoding, all 175 kinds', () => {
    for (const schema of file_runtime_v1_api.messages) {
      fc.assert(
        fc.property(messages(schema, 1), (message) => {
          expect(equals(schema, decodeMessage(schema, encodeMessage(schema, message)), message)).toBe(true);
        }),
        { numRuns: 5 },
      );
    }
  });

  it('have the bytes that an encoder knowing only field numbers makes', () => {
    const exec = create(ExecRequestSchema, {
      containerId: 'c',
      cmd: ['sh', '-c'],
      tty: true,
      stdin: true,
      stdout: true,
    });
    expect(encodeMessage(ExecRequestSchema, exec)).toEqual(
      encodeFields({ 1: 'c', 2: ['sh', '-c'], 3: true, 4: true, 5: true }),
    );
  });

  it('carry environment values that are not UTF-8', () => {
    const entry = create(KeyValueSchema, { key: 'K', value: Uint8Array.of(0xff, 0x00, 0x80) });
    const { value } = decodeMessage(KeyValueSchema, encodeMessage(KeyValueSchema, entry)) as typeof entry;
    expect(value).toEqual(Uint8Array.of(0xff, 0x00, 0x80));
  });

  it('keep fields of a newer API through decoding and encoding', () => {
    const bytes = encodeFields({ 1: 'k', 4000: 'from the future' });
    expect(encodeMessage(KeyValueSchema, decodeMessage(KeyValueSchema, bytes))).toEqual(bytes);
  });

  it('are decoded from any bytes, or refused with an Error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        let message: CriMessage;
        try {
          message = decodeMessage(PodSandboxConfigSchema, Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
          return;
        }
        expect(message.$typeName).toBe('runtime.v1.PodSandboxConfig');
      }),
    );
  });
});
