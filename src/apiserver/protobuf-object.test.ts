import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeProtobuf } from './protobuf-object.ts';

/** Length-delimited field: number, then text or a nested message. */
function field(number: number, value: string | Uint8Array): Uint8Array {
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}

function body(kind: string, ...raw: Uint8Array[]): Buffer {
  const typeMeta = field(1, Buffer.concat([field(1, 'v1'), field(2, kind)]));
  return Buffer.concat([Buffer.from('6b387300', 'hex'), typeMeta, field(2, Buffer.concat(raw))]);
}

describe('a protobuf body', () => {
  it('is read into the JSON form of its object', () => {
    const attributes = Buffer.concat([field(2, 'create'), field(5, 'pods'), field(6, 'exec')]);
    expect(decodeProtobuf(body('SelfSubjectAccessReview', field(2, field(1, attributes))))).toEqual({
      apiVersion: 'v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { verb: 'create', resource: 'pods', subresource: 'exec' } },
    });
  });

  it('has lists, maps and maps of lists', () => {
    const extra = field(
      5,
      Buffer.concat([field(1, 'scopes'), field(2, Buffer.concat([field(1, 'a'), field(1, 'b')]))]),
    );
    const spec = field(2, Buffer.concat([field(4, 'dev'), field(4, 'ops'), extra]));
    expect(decodeProtobuf(body('SubjectAccessReview', spec))).toMatchObject({
      spec: { groups: ['dev', 'ops'], extra: { scopes: ['a', 'b'] } },
    });
    const labels = field(11, Buffer.concat([field(1, 'k'), field(2, 'v')]));
    expect(decodeProtobuf(body('Namespace', field(1, Buffer.concat([field(1, 'mine'), labels]))))).toMatchObject({
      metadata: { name: 'mine', labels: { k: 'v' } },
    });
  });

  it('keeps numbers, and drops fields that it does not know, of every wire type', () => {
    const unknown = Buffer.from([0x38, 0x05, 0x45, 1, 2, 3, 4, 0x49, 1, 2, 3, 4, 5, 6, 7, 8]);
    const grace = Buffer.from([0x08, 0x1e]);
    expect(decodeProtobuf(body('DeleteOptions', grace, unknown, field(99, 'x')))).toMatchObject({
      gracePeriodSeconds: 30,
    });
  });

  it('of a kind that is read from JSON alone is refused with a sentence', () => {
    expect(() => decodeProtobuf(body('Pod'))).toThrow(
      expect.objectContaining({
        code: 'ERR_MEDIA_TYPE',
        message: expect.stringContaining('podwire reads "Pod" from JSON alone') as string,
      }),
    );
    expect(() => decodeProtobuf(body('toString'))).toThrow(expect.objectContaining({ code: 'ERR_MEDIA_TYPE' }));
  });

  it('is refused or read, whatever its bytes', () => {
    const whole = body('TokenReview', field(2, field(1, 'token')));
    fc.assert(
      fc.property(fc.nat(whole.length), fc.uint8Array({ maxLength: 40 }), (cut, noise) => {
        try {
          decodeProtobuf(Buffer.concat([whole.subarray(0, cut), noise]));
        } catch (error) {
          expect(['ERR_BAD_REQUEST', 'ERR_MEDIA_TYPE']).toContain((error as { code?: string }).code);
        }
      }),
      { numRuns: 500 },
    );
  });
});
