import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyMergePatch } from '../kubeapi/index.ts';
import { isSameJson } from './api-object.ts';
import { applyJsonPatch } from './json-patch.ts';
import { applyStrategicMergePatch } from './strategic-merge-patch.ts';

describe('a JSON merge patch', () => {
  // RFC 7396, appendix A.
  it.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('makes of %j by %j %j', (target, patch, expected) => {
    expect(applyMergePatch(target, patch)).toEqual(expected);
  });

  it('sets a field named __proto__ as any other, and changes no prototype', () => {
    const patched = applyMergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}'));
    expect(Object.getPrototypeOf(patched)).toBe(Object.prototype);
    expect(Object.keys(patched as object)).toEqual(['__proto__']);
  });
});

describe('a strategic merge patch', () => {
  const pod = {
    metadata: { labels: { a: '1' }, finalizers: ['x', 'y'] },
    spec: {
      containers: [
        { name: 'a', image: '1', env: [{ name: 'K', value: 'v' }] },
        { name: 'b', image: '2' },
      ],
      tolerations: [{ key: 'old' }],
    },
    status: {
      conditions: [{ type: 'Ready', status: 'False', reason: 'x' }],
      containerStatuses: [{ name: 'a', state: { running: {} } }],
    },
  };

  it.each([
    ['merges maps and drops nulls', { metadata: { labels: { a: null, b: '2' } } }, { labels: { b: '2' } }],
    ['unites lists of plain values', { metadata: { finalizers: ['y', 'z'] } }, { finalizers: ['x', 'y', 'z'] }],
    [
      'takes plain values out',
      { metadata: { '$deleteFromPrimitiveList/finalizers': ['x', 'q'] } },
      { finalizers: ['y'] },
    ],
    ['replaces a map as a whole', { metadata: { labels: { $patch: 'replace', c: '3' } } }, { labels: { c: '3' } }],
    ['empties a map', { metadata: { labels: { $patch: 'delete' } } }, { labels: {} }],
    ['keeps named keys alone', { metadata: { $retainKeys: ['labels'], labels: {} } }, { finalizers: undefined }],
  ])('%s', (_title, patch, metadata) => {
    expect(applyStrategicMergePatch(pod, patch, 'Pod')).toEqual({ ...pod, metadata: { ...pod.metadata, ...metadata } });
  });

  it('merges containers and their environment by name, and adds and removes by name', () => {
    const patch = {
      spec: {
        containers: [
          {
            name: 'a',
            env: [
              { name: 'K', value: null },
              { name: 'L', value: '2' },
            ],
          },
          { name: 'b', $patch: 'delete' },
          { name: 'c', image: '3', args: null },
        ],
      },
    };
    expect(applyStrategicMergePatch(pod, patch, 'Pod')).toMatchObject({
      spec: {
        containers: [
          { name: 'a', image: '1', env: [{ name: 'K' }, { name: 'L', value: '2' }] },
          { name: 'c', image: '3' },
        ],
      },
    });
  });

  it('merges conditions by type, but replaces container statuses, for a state must not stay beside its next one', () => {
    const patch = {
      status: {
        $setElementOrder: 'ignored',
        '$setElementOrder/conditions': [{ type: 'Started' }, { type: 'Ready' }],
        conditions: [
          { type: 'Ready', status: 'True', reason: null },
          { type: 'Started', status: 'True' },
        ],
        containerStatuses: [{ name: 'a', state: { terminated: { exitCode: 0 } } }],
      },
    };
    expect(applyStrategicMergePatch(pod, patch, 'Pod')).toMatchObject({
      status: {
        conditions: [
          { type: 'Started', status: 'True' },
          { type: 'Ready', status: 'True' },
        ],
        containerStatuses: [{ name: 'a', state: { terminated: { exitCode: 0 } } }],
      },
    });
  });

  it('replaces lists that have no key, and a keyed list that says so', () => {
    const patch = {
      spec: { tolerations: [{ key: 'new' }], containers: [{ $patch: 'replace' }, { name: 'z', image: '9' }] },
    };
    expect(applyStrategicMergePatch(pod, patch, 'Pod')).toMatchObject({
      spec: { tolerations: [{ key: 'new' }], containers: [{ name: 'z', image: '9' }] },
    });
  });

  it('orders by name and leaves what the patch does not know behind what it stood behind', () => {
    const target = { spec: { containers: ['s', 'a', 't', 'b'].map((name) => ({ name })) } };
    const patch = {
      spec: {
        '$setElementOrder/containers': [{ name: 'b' }, { name: 'n' }, { name: 'a' }],
        containers: [{ name: 'n' }],
      },
    };
    expect(applyStrategicMergePatch(target, patch, 'Pod')).toEqual({
      spec: { containers: ['s', 'b', 'n', 'a', 't'].map((name) => ({ name })) },
    });
  });

  it.each([
    [{ spec: { containers: [{ image: 'x' }] } }, /does not contain declared merge key: name/],
    [{ spec: { containers: ['x'] } }, /must be objects/],
    [{ spec: { $patch: 'explode' } }, /must be replace, merge or delete/],
    [{ metadata: { '$deleteFromPrimitiveList/finalizers': 'x' } }, /must be a list/],
    [[], /must be a JSON object/],
  ])('is refused as %j', (patch, message) => {
    expect(() => applyStrategicMergePatch(pod, patch, 'Pod')).toThrow(message);
  });

  it('never changes what it is applied to, and an empty one changes nothing', () => {
    fc.assert(
      fc.property(fc.object({ key: fc.constantFrom('a', 'containers', 'name', 'finalizers') }), (target) => {
        const before = JSON.stringify(target);
        expect(isSameJson(applyStrategicMergePatch(target, {}, 'Pod'), target)).toBe(true);
        applyStrategicMergePatch(target, { a: null, finalizers: ['x'] }, 'Pod');
        expect(JSON.stringify(target)).toBe(before);
      }),
      { numRuns: 100 },
    );
  });
});

describe('a JSON patch', () => {
  it.each([
    [{ a: 1 }, [{ op: 'add', path: '/b', value: 2 }], { a: 1, b: 2 }],
    [{ l: [1, 3] }, [{ op: 'add', path: '/l/1', value: 2 }], { l: [1, 2, 3] }],
    [{ l: [1] }, [{ op: 'add', path: '/l/-', value: 2 }], { l: [1, 2] }],
    [{ l: [1, 2] }, [{ op: 'remove', path: '/l/0' }], { l: [2] }],
    [{ a: { b: 1 } }, [{ op: 'replace', path: '/a/b', value: null }], { a: { b: null } }],
    [
      { 'a/b': 1, 'c~d': 2 },
      [
        { op: 'remove', path: '/a~1b' },
        { op: 'replace', path: '/c~0d', value: 3 },
      ],
      { 'c~d': 3 },
    ],
    [{ a: 1 }, [{ op: 'move', from: '/a', path: '/b' }], { b: 1 }],
    [{ a: [1] }, [{ op: 'copy', from: '/a/0', path: '/b' }], { a: [1], b: 1 }],
    [
      { a: { x: 1 } },
      [
        { op: 'test', path: '/a', value: { x: 1 } },
        { op: 'remove', path: '/a' },
      ],
      {},
    ],
    [{ a: 1 }, [{ op: 'replace', path: '', value: { b: 1 } }], { b: 1 }],
    [{ a: 1 }, [{ op: 'replace', path: '/b', value: 2 }], { a: 1, b: 2 }],
    [{ a: 1 }, [{ op: 'test', path: '/b', value: null }], { a: 1 }],
    [{ a: 1 }, [{ op: 'add', path: '/b' }], { a: 1, b: null }],
    [{ l: [1, 2] }, [{ op: 'remove', path: '/l/-1' }], { l: [1] }],
    [{ l: [1, 2] }, [{ op: 'add', path: '/l/-1', value: 3 }], { l: [1, 2, 3] }],
    [{ l: [1, 2] }, [{ op: 'replace', path: '/l/01', value: 3 }], { l: [1, 3] }],
  ])('makes of %j by %j %j', (target, patch, expected) => {
    expect(applyJsonPatch(target, patch)).toEqual(expected);
  });

  it.each([
    ['ERR_INVALID', { op: 'test', path: '/a', value: 2 }],
    ['ERR_INVALID', { op: 'remove', path: '/missing' }],
    ['ERR_INVALID', { op: 'replace', path: '/missing/b', value: 1 }],
    ['ERR_INVALID', { op: 'add', path: '', value: {} }],
    ['ERR_INVALID', { op: 'remove', path: '' }],
    ['ERR_INVALID', { op: 'test', path: '/l/1', value: null }],
    ['ERR_INVALID', { op: 'add', path: '/l/-3', value: 1 }],
    ['ERR_INVALID', {}],
    ['ERR_INVALID', null],
    ['ERR_INVALID', { op: 'add', path: '/missing/b', value: 1 }],
    ['ERR_INVALID', { op: 'add', path: '/l/9', value: 1 }],
    ['ERR_INVALID', { op: 'add', path: '/l/x', value: 1 }],
    ['ERR_INVALID', { op: 'remove', path: '/l/-' }],
    ['ERR_INVALID', { op: 'add', path: 'a', value: 1 }],
    ['ERR_INVALID', { op: 'explode', path: '/a' }],
    ['ERR_INVALID', { op: 'move', from: '/a', path: '/a/b' }],
    ['ERR_INVALID', { op: 'remove', path: '/constructor' }],
    ['ERR_BAD_REQUEST', 'add'],
  ])('is refused with %s as %j', (code, operation) => {
    expect(() => applyJsonPatch({ a: { b: 1 }, l: [1] }, [operation])).toThrow(expect.objectContaining({ code }));
  });

  it('copies no more than fits a request', () => {
    const doubled = Array.from({ length: 60 }, (_, at) => ({ op: 'copy', from: '/a', path: `/a/${at}` }));
    const message = expect.stringMatching(/^Unable to complete the copy, .* is \d+, exceeding the limit 3145728$/);
    const causes = [expect.objectContaining({ message })];
    const target = { a: { text: 'x'.repeat(100) } };
    expect(() => applyJsonPatch(target, doubled)).toThrow(expect.objectContaining({ details: { causes } }));
  });
});
