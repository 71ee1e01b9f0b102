import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LineSplitter } from './line-splitter.ts';

function linesOf(chunks: readonly Buffer[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line.toString('latin1')));
  for (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  return lines;
}

it('gives the same lines whatever the chunks', () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[ab\n]{0,9}$/)), (pieces) => {
      const text = pieces.join('');
      const expected = text.split('\n');
      if (expected.at(-1) === '') expected.pop();
      expect(linesOf(pieces.map((piece) => Buffer.from(piece)))).toEqual(expected);
    }),
  );
});

it('holds no more of an endless line than its bound', () => {
  const lines = linesOf(Array.from({ length: 10 }, () => Buffer.alloc(20_000, 'x')));
  expect(Math.max(...lines.map((line) => line.length))).toBe(65_536);
  expect(lines.join('')).toBe('x'.repeat(200_000));
});
