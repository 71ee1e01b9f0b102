import { expect, it } from 'vitest';
import { ElasticTabs } from './elastic-tabs.ts';

it('makes columns of neighbouring lines that have a cell in them', () => {
  const tabs = new ElasticTabs({ minWidth: 0, padding: 2 });
  expect(tabs.format('Name:\tx\nLonger name:\ty\nalone\n  a\tbbb\tc\n  aa\tb\tc\n')).toBe(
    'Name:         x\nLonger name:  y\nalone\n  a   bbb  c\n  aa  b    c\n',
  );
});

it('makes columns no narrower than they were', () => {
  const tabs = new ElasticTabs({ minWidth: 6, padding: 3, remembersWidths: true });
  expect(tabs.format('a\tb\n')).toBe('a     b\n');
  expect(tabs.format('abcdefgh\tb\n')).toBe('abcdefgh   b\n');
  expect(tabs.format('ä\tb\n')).toBe('ä          b\n');
});
