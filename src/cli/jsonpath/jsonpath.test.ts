import { describe, expect, it } from 'vitest';
import { evaluate } from './evaluate.ts';
import { parseTemplate } from './parse-template.ts';
import { relaxedPath } from './relaxed-path.ts';
import { columnText, valuesJson, valuesText } from './show.ts';

const data = {
  kind: 'List',
  items: [
    { name: 'a', size: 2, labels: { 'x.io/y': 'z' }, tags: ['p', 'q'], ready: true, ratio: 0.5 },
    { name: 'b', size: 10, labels: {}, tags: [], note: '<i>', gone: null },
  ],
};

const shown = (template: string): string => valuesText(evaluate(parseTemplate(template), data));

/** Outputs of kubectl 1.32 for the same data. */
const golden: readonly (readonly [template: string, text: string])[] = [
  ['plain text', 'plain text'],
  ['{.kind}{"\\t"}{.items[*].name}', 'List\ta b'],
  ['{range .items[*]}{.name}={range .tags[*]}({@}){end};{end}!', 'a=(p)(q);b=;!'],
  ['{range .nothing[*]}{.name}{end}after', 'after'],
  ['{.items[-1:].name} {.items[0:2].size} {.items[::2].name}', 'b 2 10 a'],
  ["{.items[0]['name','size']} {.items[0,1].name}", 'a 2 a b'],
  ['{.items[?(@.size>2)].name} {.items[?(@.name=="a")].size} {.items[?(@.note)].name}', 'b 2 b'],
  ['{.items[?(@.ready==true)].name}{.items[?(@.name!="a")].name}', 'ab'],
  ['{.items[0].labels.x\\.io/y} {.items[0].labels}', 'z {"x.io/y":"z"}'],
  ['{..name} {.items..size} {.items[*].tags}', 'a b 2 10 ["p","q"] []'],
  ['{.items[1].note}{.items[1].gone}{.items[0].ratio}', '<i>null0.5'],
  ['{.items[1]}', '{"gone":null,"labels":{},"name":"b","note":"\\u003ci\\u003e","size":10,"tags":[]}'],
  ['{.nope}{.nope.deeper[3]}{.items[0].name.x}', ''],
  [`{'it\\'s'}{"\\u00e9\\x41\\101"}`, "it'séAA"],
];

/** Templates that are refused, and kubectl's words for it. */
const refused: readonly (readonly [template: string, words: string])[] = [
  ['{.a', 'unclosed action'],
  ['{.a[', 'unterminated array'],
  ['{.a[x]}', 'invalid array index x'],
  ['{.a[?(@.b}', 'unterminated filter'],
  ['{.a[?(@.b)x}', 'unclosed array expect ]'],
  ['{"a}', 'unterminated quoted string'],
  ['{"\\q"}', 'unquote string "\\q" error invalid syntax'],
  ['{#}', "unrecognized character in action: U+0023 '#'"],
  ['{1.2.3}', 'cannot parse number 1.2.3'],
  ['{....a}', 'invalid multiple recursive descent'],
];

/** Templates that do not fit the data. */
const unfit: readonly (readonly [template: string, words: string])[] = [
  ['{.items[5].name}', 'array index out of bounds: index 5, length 2'],
  ['{.items[0].name[0]}', 'string is not array or slice'],
  ['{.items[?(@.name==5)]}', 'incompatible types for comparison'],
  ['{.items[?(@.ready<true)]}', 'invalid type for comparison'],
  ['{.items[?(@.name="a")]}', 'unrecognized filter operator ='],
  ['{.items[::0]}', 'step must be > 0'],
  ['{foo}', 'unrecognized identifier foo'],
  ['{end}', 'not in range, nothing to end'],
];

describe('a JSONPath template', () => {
  it.each(golden)('%s shows what kubectl shows', (template, text) => {
    expect(shown(template)).toBe(text);
  });

  it.each(refused)('%s is refused in kubectl’s words', (template, words) => {
    expect(() => parseTemplate(template)).toThrow(words);
  });

  it.each(unfit)('%s does not fit, in kubectl’s words', (template, words) => {
    expect(() => shown(template)).toThrow(words);
  });

  it('says which field is missing where that is asked for', () => {
    expect(() => evaluate(parseTemplate('{.nope}'), data, { allowMissingKeys: false })).toThrow('nope is not found');
  });

  it('shows values as a list and as a column', () => {
    expect(valuesJson(evaluate(parseTemplate('{.items[*].size}'), data))).toBe('[\n    2,\n    10\n]\n');
    expect(columnText(evaluate(parseTemplate('{.items[0].labels}'), data))).toBe('map[x.io/y:z]');
    expect(columnText(evaluate(parseTemplate('{.items[*].tags}'), data))).toBe('[p q],[]');
    expect(columnText(evaluate(parseTemplate('{.nope}'), data))).toBe('<none>');
  });

  it('may be written in four ways for --sort-by', () => {
    for (const text of ['a.b', '.a.b', '{a.b}', '{.a.b}']) expect(relaxedPath(text)).toBe('{.a.b}');
    expect(() => relaxedPath('{.a}{.b}')).toThrow('unexpected path string');
  });
});
