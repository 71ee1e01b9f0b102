import { describe, expect, it } from 'vitest';
import { isLoopback } from './loopback.ts';

describe('isLoopback', () => {
  it.each(['localhost', '127.0.0.1', '127.1.2.3', '::1'])('holds for %s', (host) => {
    expect(isLoopback(host)).toBe(true);
  });

  it.each(['0.0.0.0', '::', '127.0.0.1.example', '10.0.0.1', 'localhost.example'])('does not hold for %s', (host) => {
    expect(isLoopback(host)).toBe(false);
  });
});
