import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeProtobuf } from './protobuf-object.ts';

/** Length-delimited field: number, then text or a nested message. */
function field(number: number, value: string | Uint8Array): Uint8Array {
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

/** A number, or a bool. */
function uint(number: number, value: number): Uint8Array {
  return Buffer.concat([varint(number * 8), varint(value)]);
}

function message(...fields: Uint8Array[]): Uint8Array {
  return Buffer.concat(fields);
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

  it('of a kind that is not served is named, for whoever wanted another to refuse it', () => {
    expect(decodeProtobuf(body('ConfigMap', field(1, field(1, 'mine'))))).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
    });
    expect(decodeProtobuf(body('toString'))).toEqual({ apiVersion: 'v1', kind: 'toString' });
  });

  it('that names no kind is refused', () => {
    expect(() => decodeProtobuf(Buffer.from('6b387300', 'hex'))).toThrow('the protobuf body names no kind');
    expect(() => decodeProtobuf(Buffer.from('{}'))).toThrow('a protobuf body begins with the bytes 6b387300');
  });

  it('is refused or read, whatever its bytes', () => {
    const whole = body(
      'Pod',
      field(1, field(1, 'web')),
      field(2, Buffer.concat([field(2, field(1, 'main')), uint(4, 0)])),
    );
    fc.assert(
      fc.property(fc.nat(whole.length), fc.uint8Array({ maxLength: 40 }), (cut, noise) => {
        try {
          decodeProtobuf(Buffer.concat([whole.subarray(0, cut), noise]));
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_BAD_REQUEST' });
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('a value in protobuf', () => {
  const pod = (...fields: Uint8Array[]): unknown => decodeProtobuf(body('Pod', ...fields));
  const podSpec = (...fields: Uint8Array[]): unknown => (pod(field(2, message(...fields))) as { spec: unknown }).spec;
  const metadata = (...fields: Uint8Array[]): unknown =>
    (pod(field(1, message(...fields))) as { metadata: unknown }).metadata;
  const container = (...fields: Uint8Array[]): unknown =>
    (podSpec(field(2, message(...fields))) as { containers: readonly unknown[] }).containers[0];

  it('that is zero is left out where JSON leaves it out', () => {
    expect(podSpec(field(3, ''), uint(11, 0), field(10, 'node'))).toEqual({ nodeName: 'node' });
  });

  it('that is zero stays where Go has a pointer, and where it must be there', () => {
    expect(podSpec(uint(4, 0), uint(21, 0), field(31, ''))).toEqual({
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      preemptionPolicy: '',
    });
    expect(container(field(1, ''), field(2, ''))).toEqual({ name: '' });
  });

  it('is negative or large', () => {
    const minusOne = Buffer.from('ffffffffffffffffff01', 'hex');
    expect(podSpec(message(varint(25 * 8), minusOne), uint(5, 2 ** 40))).toEqual({
      priority: -1,
      activeDeadlineSeconds: 2 ** 40,
    });
  });

  it.each([
    ['one by one', message(uint(4, 7), uint(4, 300))],
    ['packed', field(4, message(varint(7), varint(300)))],
  ])('is a list of numbers, %s', (_how, groups) => {
    expect(podSpec(field(14, groups))).toEqual({ securityContext: { supplementalGroups: [7, 300] } });
  });

  it('is a list of empty texts and messages', () => {
    expect(container(field(3, ''), field(3, 'sh'), field(6, ''))).toEqual({ command: ['', 'sh'], ports: [{}] });
  });

  it('is a quantity of a map', () => {
    const cpu = message(field(1, 'cpu'), field(2, field(1, '100m')));
    expect(container(field(8, field(1, cpu)))).toEqual({ resources: { limits: { cpu: '100m' } } });
  });

  it('of a map may be missing, and a key may be any text', () => {
    expect(metadata(field(11, field(1, 'empty')), field(11, message(field(1, '__proto__'), field(2, 'x'))))).toEqual({
      labels: Object.fromEntries([
        ['empty', ''],
        ['__proto__', 'x'],
      ]),
    });
  });

  it('is a number or a name', () => {
    const get = (port: Uint8Array): unknown => container(field(12, field(1, field(2, field(2, port)))));
    const read = (port: unknown): unknown => ({ lifecycle: { postStart: { httpGet: { port } } } });
    expect(get(message(uint(1, 0), uint(2, 8080), field(3, '')))).toEqual(read(8080));
    expect(get(message(uint(1, 1), uint(2, 0), field(3, 'http')))).toEqual(read('http'));
  });

  it('is a time in whole seconds; an empty one is none', () => {
    expect(metadata(field(8, message(uint(1, 1_700_000_000), uint(2, 999_999_999))))).toEqual({
      creationTimestamp: '2023-11-14T22:13:20Z',
    });
    expect(metadata(field(8, message(uint(1, 0), uint(2, 0))))).toEqual({ creationTimestamp: '1970-01-01T00:00:00Z' });
    expect(metadata(field(8, ''))).toEqual({});
  });

  it('is a time in microseconds', () => {
    const renewTime = message(uint(1, 1_700_000_000), uint(2, 12_345_678));
    expect(decodeProtobuf(body('Lease', field(2, field(4, renewTime))))).toMatchObject({
      spec: { renewTime: '2023-11-14T22:13:20.012345Z' },
    });
  });

  it('that is a time which no date has is refused', () => {
    expect(() => metadata(field(8, uint(1, 2 ** 50)))).toThrow('a time has 1125899906842624 seconds');
  });

  it('is JSON within', () => {
    const entry = message(field(1, 'kubelet'), field(7, field(1, '{"f:status":{}}')));
    expect(metadata(field(17, entry))).toEqual({
      managedFields: [{ manager: 'kubelet', fieldsV1: { 'f:status': {} } }],
    });
    expect(() => metadata(field(17, field(7, field(1, '{'))))).toThrow('managed fields are not JSON');
  });

  it('stands in a message of its own where JSON has it in the object', () => {
    const handler = field(1, field(1, field(1, 'true')));
    expect(container(field(10, message(handler, uint(2, 5))))).toEqual({
      livenessProbe: { exec: { command: ['true'] }, initialDelaySeconds: 5 },
    });
    expect(podSpec(field(1, message(field(1, 'host'), field(2, field(1, field(1, '/'))))))).toEqual({
      volumes: [{ name: 'host', hostPath: { path: '/' } }],
    });
    const key = message(field(1, field(1, 'secret')), field(2, 'key'), uint(3, 0));
    expect(container(field(7, message(field(1, 'A'), field(3, field(4, key)))))).toEqual({
      env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'secret', key: 'key', optional: false } } }],
    });
  });

  it('that comes twice is merged when it is a message, and the last one counts otherwise', () => {
    expect(pod(field(1, field(1, 'a')), field(1, field(3, 'dev')), field(1, field(1, 'b')))).toMatchObject({
      metadata: { name: 'b', namespace: 'dev' },
    });
  });

  it('that is no UTF-8 has U+FFFD there: a kubelet cuts texts anywhere', () => {
    expect(metadata(field(1, Buffer.from([0x61, 0xc3])))).toEqual({ name: 'a\ufffd' });
  });

  it('of another wire type than its field is refused', () => {
    expect(() => metadata(uint(1, 5))).toThrow('field 1 is neither a text nor a message');
    expect(() => podSpec(field(11, 'yes'))).toThrow('field 11 is no number');
    expect(() => podSpec(Buffer.from([0x25, 1, 2, 3, 4]))).toThrow('field 4 is no number');
  });

  it('has a number', () => {
    expect(() => metadata(field(0, 'x'))).toThrow('a field has the number 0');
    expect(() => metadata(field(2 ** 29, 'x'))).toThrow('a field has the number 536870912');
  });

  it('has the numbers of its own group', () => {
    const typeMeta = field(1, message(field(1, 'events.k8s.io/v1'), field(2, 'Event')));
    const event = message(Buffer.from('6b387300', 'hex'), typeMeta, field(2, field(3, 'x')));
    expect(decodeProtobuf(Buffer.from(event))).toEqual({ apiVersion: 'events.k8s.io/v1', kind: 'Event' });
  });
});
