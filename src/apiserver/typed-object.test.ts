import { describe, expect, it } from 'vitest';
import { structs } from './api-schema.ts';
import { decodeTyped, TypeMismatch } from './typed-object.ts';

/** The mismatch that reading a Pod meets. */
function mismatchOf(pod: unknown): TypeMismatch {
  try {
    decodeTyped(pod, 'Pod');
  } catch (error) {
    if (error instanceof TypeMismatch) return error;
    throw error;
  }
  throw new Error('it was read');
}

describe('the facts of the API', () => {
  it('name no type that is not there', () => {
    const scalars = [
      'string',
      'bool',
      'int32',
      'int64',
      'bytes',
      'Time',
      'MicroTime',
      'Quantity',
      'IntOrString',
      'FieldsV1',
    ];
    const missing = [...structs].flatMap(([type, fields]) =>
      [...fields.values()]
        .filter(({ element }) => !structs.has(element) && !scalars.includes(element))
        .map(({ name, element }) => `${type}.${name}: ${element}`),
    );
    expect(missing).toEqual([]);
    expect(structs.size).toBeGreaterThan(150);
  });

  it('give a merge key that the elements of the list have', () => {
    const wrong = [...structs.values()].flatMap((fields) =>
      [...fields.values()].filter(
        ({ mergeKey, element }) => mergeKey !== undefined && mergeKey !== '*' && !structs.get(element)?.has(mergeKey),
      ),
    );
    expect(wrong).toEqual([]);
  });
});

describe('reading an object of a type', () => {
  it('leaves out and lists what the type does not have', () => {
    const pod = { metadata: { name: 'a', foo: 1 }, spec: { containers: [{ name: 'c', imag: 'x' }] }, extra: true };
    expect(decodeTyped(pod, 'Pod')).toEqual({
      object: { metadata: { name: 'a' }, spec: { containers: [{ name: 'c' }] } },
      unknownFields: [
        'unknown field "metadata.foo"',
        'unknown field "spec.containers[0].imag"',
        'unknown field "extra"',
      ],
    });
  });

  it('leaves out nulls and empty lists, and makes zero values of nulls in lists', () => {
    const pod = {
      spec: { nodeName: null, tolerations: [], containers: [null, { command: [null] }], nodeSelector: { a: null } },
    };
    expect(decodeTyped(pod, 'Pod').object).toEqual({
      spec: { containers: [{}, { command: [''] }], nodeSelector: { a: '' } },
    });
  });

  it('writes times in UTC and quantities as texts', () => {
    const node = {
      metadata: { creationTimestamp: '2026-01-02T03:04:05.6+01:00' },
      status: { capacity: { cpu: 2 } },
    };
    expect(decodeTyped(node, 'Node').object).toEqual({
      metadata: { creationTimestamp: '2026-01-02T02:04:05Z' },
      status: { capacity: { cpu: '2' } },
    });
    expect(decodeTyped({ spec: { renewTime: '2026-01-02T03:04:05.1234567Z' } }, 'Lease').object).toEqual({
      spec: { renewTime: '2026-01-02T03:04:05.123456Z' },
    });
  });

  // As a kube-apiserver 1.32 says them.
  it.each([
    [
      { metadata: { name: 1 } },
      'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string',
    ],
    [
      { spec: { containers: {} } },
      'json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container',
    ],
    [
      { spec: { containers: [{ name: true }] } },
      'json: cannot unmarshal bool into Go struct field Container.spec.containers.name of type string',
    ],
    [
      { spec: { restartPolicy: 1 } },
      'json: cannot unmarshal number into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy',
    ],
    [{ spec: [] }, 'json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec'],
    [
      { spec: { nodeSelector: { a: 1 } } },
      'json: cannot unmarshal number into Go struct field PodSpec.spec.nodeSelector of type string',
    ],
    [
      { spec: { nodeSelector: 'a' } },
      'json: cannot unmarshal string into Go struct field PodSpec.spec.nodeSelector of type map[string]string',
    ],
    [
      { spec: { activeDeadlineSeconds: 1.5 } },
      'json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64',
    ],
    [[], 'json: cannot unmarshal array into Go value of type v1.Pod'],
    [
      { metadata: { creationTimestamp: 'x' } },
      'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"',
    ],
    [
      { spec: { containers: [{ resources: { limits: { cpu: 'much' } } }] } },
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
  ])('refuses %j in the words of Go', (pod, text) => {
    expect(mismatchOf(pod).message).toBe(text);
  });

  it('takes a field named __proto__ for one that is unknown', () => {
    const { object, unknownFields } = decodeTyped(JSON.parse('{"__proto__":{"a":1}}'), 'Pod');
    expect([object, unknownFields]).toEqual([{}, ['unknown field "__proto__"']]);
  });
});
