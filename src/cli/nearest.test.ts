import { expect, it } from 'vitest';
import { nearest } from './nearest.ts';

const commands = ['exec', 'shell', 'get', 'up', 'demo', 'apiserver', 'kubelet', 'runtime', 'version', 'completion'];

it.each([
  ['exce', 'exec'],
  ['xec', 'exec'],
  ['EXEC', 'exec'],
  ['shel', 'shell'],
  ['kublet', 'kubelet'],
  ['comp', 'completion'],
  ['apisever', 'apiserver'],
])('takes %s for %s', (word, meant) => {
  expect(nearest(word, commands)[0]).toBe(meant);
});

it('has nothing to say about a word that is like no other', () => {
  expect(nearest('frobnicate', commands)).toEqual([]);
  expect(nearest('svc', ['ev', 'sa', 'ns'])).toEqual([]);
});
