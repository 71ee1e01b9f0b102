import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backlog } from './backlog.ts';

describe('Backlog', () => {
  it('gives back what was appended, in order, whatever is taken between', () => {
    const step = fc.oneof(fc.uint8Array({ maxLength: 9000 }), fc.constant('take' as const));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const backlog = new Backlog();
        const appended: Uint8Array[] = [];
        const taken: Uint8Array[] = [];
        for (const entry of steps) {
          if (entry === 'take') taken.push(backlog.take() ?? new Uint8Array(0));
          else {
            backlog.append(entry);
            appended.push(entry.slice());
            entry.fill(0xff);
          }
          const outside = Buffer.concat(appended).length - Buffer.concat(taken).length;
          expect(backlog.length).toBe(outside);
        }
        for (let block = backlog.take(); block !== undefined; block = backlog.take()) taken.push(block);
        expect(Buffer.concat(taken).equals(Buffer.concat(appended))).toBe(true);
        expect(backlog.length).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it('holds a hundred thousand single bytes in blocks, not in so many objects', () => {
    const backlog = new Backlog();
    for (let i = 0; i < 100_000; i += 1) backlog.append(Uint8Array.of(i));
    let blocks = 0;
    while (backlog.take() !== undefined) blocks += 1;
    expect(blocks).toBeLessThan(10);
  });

  it('says how much it drops', () => {
    const backlog = new Backlog();
    backlog.append(Buffer.alloc(10_000));
    expect(backlog.clear()).toBe(10_000);
    expect(backlog.length).toBe(0);
    expect(backlog.take()).toBeUndefined();
    backlog.append(Buffer.from('again'));
    expect(backlog.take()?.toString()).toBe('again');
  });
});
