import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseFieldSelector } from './field-selector.ts';
import { parseLabelSelector } from './label-selector.ts';
import { isLabelValue, isQualifiedName } from './object-names.ts';
import { holds } from './object-selector.ts';

describe('a label selector', () => {
  const labels = { app: 'web', 'example.com/tier': 'front', rank: '5', empty: '' };

  it.each([
    ['', true],
    [' ', true],
    ['app=web', true],
    ['app==web', true],
    ['app = web , rank=5', true],
    ['app=web,rank=6', false],
    ['app!=web', false],
    ['missing!=web', true],
    ['app', true],
    ['!app', false],
    ['!missing', true],
    ['app in (api, web)', true],
    ['app in (api)', false],
    ['app notin (api,db)', true],
    ['missing notin (api)', true],
    ['app in (web),!missing,rank>4', true],
    ['rank>5', false],
    ['rank<6', true],
    ['app>1', false],
    ['empty=', true],
    ['empty in ()', true],
    ['example.com/tier=front', true],
    ['toString', false],
  ])('%j selects %s', (text, expected) => {
    expect(parseLabelSelector(text)(labels)).toBe(expected);
  });

  it('selects objects without labels when it only rules out', () => {
    expect(parseLabelSelector('!app,tier!=front')(undefined)).toBe(true);
    expect(parseLabelSelector('app')(undefined)).toBe(false);
  });

  it.each(['app=a b', 'a b', '=web', ',', 'app in web', 'app in (a', 'rank>five', '-app=web', 'a/b/c=d', 'app=(web)'])(
    'is refused as %j',
    (text) => {
      expect(() => parseLabelSelector(text)).toThrow(expect.objectContaining({ code: 'ERR_BAD_REQUEST' }));
    },
  );

  it('knows keys and values by their lengths too', () => {
    expect(isQualifiedName('x'.repeat(63))).toBe(true);
    expect(isQualifiedName('x'.repeat(64))).toBe(false);
    expect(isQualifiedName('Example.com/x')).toBe(false);
    expect(isLabelValue('')).toBe(true);
    expect(isLabelValue('x'.repeat(64))).toBe(false);
    expect(isLabelValue('-x')).toBe(false);
  });

  it('refuses or reads any text, and never fails otherwise', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from('ab=!(),<> in/.-"')) }), (text) => {
        try {
          parseLabelSelector(text)({ a: 'b' });
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_BAD_REQUEST' });
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the comparisons of selectors', () => {
  const MAX = '9223372036854775807';

  it.each([
    ['6', '5', true],
    ['5', '5', false],
    ['-1', '-2', true],
    ['+6', '005', true],
    ['9007199254740993', '9007199254740992', true],
    [MAX, '9223372036854775806', true],
    // What is no int64 is compared with nothing.
    ['9223372036854775808', '0', false],
    ['0', '-9223372036854775809', false],
    ['', '-1', false],
    ['0x10', '1', false],
    ['1e3', '1', false],
    ['1.5', '1', false],
    [' 2', '1', false],
  ])('%j is above %j: %s', (value, bound, expected) => {
    expect(holds({ key: 'k', operator: 'Gt', values: [bound] }, value)).toBe(expected);
    expect(holds({ key: 'k', operator: 'Lt', values: [value] }, bound)).toBe(expected);
  });

  it('read selectors in text alike', () => {
    const selects = parseLabelSelector(`rank>9007199254740992`);
    expect(selects({ rank: '9007199254740993' })).toBe(true);
    expect(selects({ rank: '9007199254740992' })).toBe(false);
    expect(() => parseLabelSelector('rank>9223372036854775808')).toThrow(/must be an integer/);
  });

  it('have no value to compare with', () => {
    expect(holds({ key: 'k', operator: 'Gt' }, '1')).toBe(false);
    expect(holds({ key: 'k', operator: 'Lt', values: ['5'] }, undefined)).toBe(false);
  });
});

describe('a field selector', () => {
  const fields = { 'metadata.name': 'web', 'spec.nodeName': '', 'x.y': 'a,b=c\\d' };

  it.each([
    ['', true],
    ['metadata.name=web', true],
    ['metadata.name==web,spec.nodeName=', true],
    ['metadata.name!=web', false],
    ['spec.nodeName!=n1', true],
    ['unknown=', true],
    ['x.y=a\\,b\\=c\\\\d', true],
    [',metadata.name=web,', true],
  ])('%j selects %s', (text, expected) => {
    expect(parseFieldSelector(text).matches(fields)).toBe(expected);
  });

  it.each(['metadata.name', 'a=b=c', 'a=\\x', 'a=b\\'])('is refused as %j', (text) => {
    expect(() => parseFieldSelector(text)).toThrow(/^invalid selector: /);
  });

  it('tells the value that a field must have', () => {
    const selector = parseFieldSelector('spec.nodeName=n1,status.phase!=Failed');
    expect(selector.requiredValue('spec.nodeName')).toBe('n1');
    expect(selector.requiredValue('status.phase')).toBeUndefined();
    expect(selector.fields).toEqual(['spec.nodeName', 'status.phase']);
  });
});
