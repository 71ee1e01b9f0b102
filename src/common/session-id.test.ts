import { describe, expect, it } from 'vitest';
import { isSessionId } from './session-id.ts';

describe('a session id', () => {
  it.each(['a', '0f8fad5b-d9cb-469f-a165-70867728950e', 'build.7_x', 'x'.repeat(64)])('may be %j', (id) => {
    expect(isSessionId(id)).toBe(true);
  });

  it.each([undefined, ['a'], '', '-a', 'x'.repeat(65), 'a b', 'a\tb', 'ü', 'a\u001b[31m', 'a\nb'])(
    'may not be %j',
    (id) => {
      expect(isSessionId(id)).toBe(false);
    },
  );
});
