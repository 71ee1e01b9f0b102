import { describe, expect, it } from 'vitest';
import { streamOptionsOf } from './exec-route.ts';

describe('the options of an exec request', () => {
  it.each([
    ['stdin=1', true],
    ['stdin=true', true],
    ['stdin=', true],
    ['stdin', true],
    ['stdin=TRUE', true],
    ['stdin=0', false],
    ['stdin=false', false],
    ['stdin=False', false],
    ['', false],
  ])('gotcha 69: %j is %s', (query, stdin) => {
    expect(streamOptionsOf(new URLSearchParams(query)).stdin).toBe(stdin);
  });
});
