import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { textFixture } from '../../../test/support/spdy-pair.ts';
import { DICTIONARY_ID, dictionary } from './dictionary.ts';

it('builds the dictionary byte for byte', () => {
  expect(Buffer.from(dictionary)).toEqual(Buffer.from(textFixture('dictionary.base64'), 'base64'));
  expect(dictionary.length).toBe(1423);
  const digest = createHash('sha256').update(dictionary).digest('hex');
  expect(digest).toBe('51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02');
});

it('names the dictionary by its Adler-32', () => {
  let [low, high] = [1, 0];
  for (const byte of dictionary) {
    low = (low + byte) % 65_521;
    high = (high + low) % 65_521;
  }
  expect(high * 65_536 + low).toBe(DICTIONARY_ID);
});
