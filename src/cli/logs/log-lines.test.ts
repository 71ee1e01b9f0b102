import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LogLines } from './log-lines.ts';

function written(prefix: string, chunks: readonly string[]): string {
  const lines = new LogLines(prefix);
  return Buffer.concat([...chunks.map((chunk) => lines.take(Buffer.from(chunk))), lines.rest()]).toString();
}

it('puts the prefix before each line, however the log is cut', () => {
  expect(written('[p] ', ['a\nb', '', 'c\n', '\n', 'd'])).toBe('[p] a\n[p] bc\n[p] \n[p] d');
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[ab\n]*$/)), (chunks) => {
      const text = chunks.join('');
      expect(written('', chunks)).toBe(text);
      expect(written('> ', chunks)).toBe(text.replace(/^(?=.|\n)/gm, '> '));
    }),
  );
});

it('gives whole lines only, but for one that is too long to be held', () => {
  const lines = new LogLines('> ');
  expect(lines.take(Buffer.from('half')).toString()).toBe('');
  expect(lines.take(Buffer.from(' and half\nnext')).toString()).toBe('> half and half\n');
  const long = 'x'.repeat(70_000);
  expect(lines.take(Buffer.from(long)).toString()).toBe(`> next${long}`);
  expect(lines.take(Buffer.from('y\nz')).toString()).toBe('y\n');
  expect(lines.rest().toString()).toBe('> z');
});
