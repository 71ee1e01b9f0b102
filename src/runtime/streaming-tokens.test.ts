import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StreamingTokens } from './streaming-tokens.ts';

interface Requests {
  exec: { id: string };
  attach: { id: string };
}

describe('streaming tokens', () => {
  it('have 8 URL-safe characters and are good for one use', () => {
    const tokens = new StreamingTokens<Requests>();
    const token = tokens.issue('exec', { id: 'a' });
    expect(token).toMatch(/^[A-Za-z0-9_-]{8}$/);
    expect(tokens.take('exec', token)).toEqual({ id: 'a' });
    expect(tokens.take('exec', token)).toBeUndefined();
  });

  it('are bound to their kind, and a wrong try does not use them up', () => {
    const tokens = new StreamingTokens<Requests>();
    const token = tokens.issue('exec', { id: 'a' });
    expect(tokens.take('attach', token)).toBeUndefined();
    expect(tokens.take('exec', token)).toEqual({ id: 'a' });
  });

  it('expire after a minute, to the millisecond', () => {
    let now = 0;
    const tokens = new StreamingTokens<Requests>({ now: () => now });
    const first = tokens.issue('exec', { id: 'a' });
    const second = tokens.issue('exec', { id: 'b' });
    now = 59_999;
    expect(tokens.take('exec', first)).toEqual({ id: 'a' });
    now = 60_000;
    expect(tokens.take('exec', second)).toBeUndefined();
  });

  it('are at most 1000, then the next is refused until one is used or expires', () => {
    let now = 0;
    const tokens = new StreamingTokens<Requests>({ now: () => now });
    const issued = Array.from({ length: 1000 }, (_, i) => tokens.issue('exec', { id: String(i) }));
    expect(() => tokens.issue('exec', { id: 'x' })).toThrow('maximum number of in-flight requests exceeded');
    tokens.take('exec', issued[0]!);
    tokens.issue('exec', { id: 'y' });
    expect(() => tokens.issue('attach', { id: 'x' })).toThrow(/ResourceExhausted/);
    now = 60_000;
    expect(tokens.issue('attach', { id: 'x' })).toMatch(/^.{8}$/);
  });

  it('hand out exactly what a plain map would, in any order of issuing, taking and waiting', () => {
    const action = fc.oneof(
      fc.record({ do: fc.constant('issue' as const), kind: fc.constantFrom('exec' as const, 'attach' as const) }),
      fc.record({
        do: fc.constant('take' as const),
        kind: fc.constantFrom('exec' as const, 'attach' as const),
        which: fc.nat(20),
      }),
      fc.record({ do: fc.constant('wait' as const), ms: fc.nat(40) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        let now = 0;
        const tokens = new StreamingTokens<Requests>({ lifetimeMs: 50, maxOutstanding: 8, now: () => now });
        const issued: { token: string; kind: string; id: string; at: number; used: boolean }[] = [];
        const live = (): typeof issued => issued.filter((entry) => !entry.used && now - entry.at < 50);
        for (const step of actions) {
          if (step.do === 'wait') now += step.ms;
          else if (step.do === 'issue') {
            const id = String(issued.length);
            if (live().length === 8) expect(() => tokens.issue(step.kind, { id })).toThrow();
            else issued.push({ token: tokens.issue(step.kind, { id }), kind: step.kind, id, at: now, used: false });
          } else {
            const entry = issued[step.which];
            if (entry === undefined) continue;
            const good = live().includes(entry) && entry.kind === step.kind;
            expect(tokens.take(step.kind, entry.token)).toEqual(good ? { id: entry.id } : undefined);
            entry.used ||= good;
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
