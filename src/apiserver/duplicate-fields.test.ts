import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { duplicateFields } from './duplicate-fields.ts';

describe('fields that come twice', () => {
  it.each([
    ['{"a":1,"b":{"a":2},"c":[{"a":1},{"a":2}]}', []],
    ['{"metadata":{"name":"a","name":"b"}}', ['metadata.name']],
    ['{"a":1,"a":2,"a":3}', ['a']],
    ['{"a":{"b":1},"a":{"b":2,"b":3}}', ['a', 'a.b']],
    ['[{"op":1,"op":2},{"value":[0,{"x":1,"x":2}]}]', ['[0].op', '[1].value[1].x']],
    ['{"spec":{"containers":[{"image":"i"},{"image":"i" , "image" : "j"}]}}', ['spec.containers[1].image']],
    [String.raw`{"name":"b","na\u006de":"c"}`, ['name']],
    [String.raw`{"\"":1,"\"":2,"x\\":3,"x\\":4}`, ['"', 'x\\']],
    ['{"a":"a","b":"a:","c":"{\\"a\\":1,\\"a\\":2}"}', []],
    ['{"__proto__":1,"__proto__":2,"constructor":3}', ['__proto__']],
    ['5', []],
    ['', []],
  ])('in %s are %j', (text, fields) => {
    expect(duplicateFields(text)).toEqual(fields);
  });

  it('are none in what JSON.stringify writes, however it is indented', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(3), (value, indent) => {
        expect(duplicateFields(JSON.stringify(value, null, indent))).toEqual([]);
      }),
    );
  });

  it('are found wherever one is written again', () => {
    const entries = fc.uniqueArray(fc.tuple(fc.string(), fc.jsonValue({ maxDepth: 2 })), {
      minLength: 1,
      selector: ([key]) => key,
    });
    fc.assert(
      fc.property(entries, fc.nat(), fc.nat(), (fields, which, where) => {
        const [key, value] = fields[which % fields.length] ?? ['', null];
        const again = fields.toSpliced(where % (fields.length + 1), 0, [key, value]);
        const text = again.map(([name, one]) => `${JSON.stringify(name)}:${JSON.stringify(one)}`).join(',');
        expect(duplicateFields(`[{${text}}]`)).toEqual([`[0]${key === '' ? '.' : `.${key}`}`]);
      }),
    );
  });

  it('are looked for in large and in malicious texts without going over them again and again', () => {
    const items = Array.from({ length: 20_000 }, (_, at) => ({
      name: `item-${at}`,
      value: ['a', { b: '"\\'.repeat(20) }],
    }));
    const often = Array.from({ length: 200_000 }, () => '"x":{"a":1,"a":2}').join(',');
    const texts = [JSON.stringify(items), `{"${'n'.repeat(1_000_000)}":{${often}}}`];
    expect(texts.map((text) => duplicateFields(text).length)).toEqual([0, 1]);
  });

  it('are counted up to a hundred', () => {
    const many = Array.from({ length: 300 }, (_, at) => `"${at}":1,"${at}":2`).join(',');
    expect(duplicateFields(`{${many}}`)).toHaveLength(100);
  });
});
