import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseYaml } from './yaml.ts';
import { formatYaml } from './yaml-text.ts';

/** Texts and how kubectl 1.32 writes them. */
const golden: readonly (readonly [text: string, yaml: string])[] = [
  ['', '""'],
  ['plain text', 'plain text'],
  ['yes', '"yes"'],
  ['012', '"012"'],
  ['1e3', '"1e3"'],
  ['10:20', '"10:20"'],
  ['2026-01-01T00:00:00Z', '"2026-01-01T00:00:00Z"'],
  ['10.0.0.1', '10.0.0.1'],
  ['a: b', "'a: b'"],
  ["it's: x", "'it''s: x'"],
  ['@x', "'@x'"],
  ['x ', "'x '"],
  ['a #b', "'a #b'"],
  ['a\tb', '"a\\tb"'],
  ['ü€😀', '"ü€\\U0001F600"'],
  ['a\nb\n', '|\n  a\n  b'],
  ['a\nb', '|-\n  a\n  b'],
  [' a\nb', '|2-\n   a\n  b'],
  ['a\n\n', '|+\n  a\n'],
  [`${'long '.repeat(17)}end`, `${'long '.repeat(15)}long\n  long end`],
];

describe('formatYaml', () => {
  it.each(golden)('writes %j as kubectl does', (text, yaml) => {
    expect(formatYaml({ k: text })).toBe(`k: ${yaml}\n`);
  });

  it('sets lists as far left as their key, and empty ones in brackets', () => {
    expect(formatYaml({ a: [{ b: 1, c: [true, null] }, [], {}, [[2]]], d: {}, e: undefined })).toBe(
      'a:\n- b: 1\n  c:\n  - true\n  - null\n- []\n- {}\n- - - 2\nd: {}\n',
    );
  });

  it('writes what is read back as the same value', async () => {
    const key = fc.string({ unit: fc.constantFrom(...'ab-: #\'"y0'.split('')), minLength: 1, maxLength: 8 });
    const text = fc.string({ unit: fc.constantFrom(...'ab \n\t:#-\'"\\|>&*!{[,%@`01eéx'.split('')), maxLength: 12 });
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        text,
        fc.boolean(),
        fc.integer(),
        fc.constant(null),
        tie('list'),
        tie('map'),
      ),
      list: fc.array(tie('value'), { maxLength: 3 }),
      map: fc.dictionary(key, tie('value'), { maxKeys: 3 }),
    }));
    await fc.assert(
      fc.asyncProperty(fc.record({ top: value }), async (top) => {
        const [back] = await parseYaml(formatYaml(top), 'test');
        expect(back).toEqual(top);
      }),
    );
  });
});
