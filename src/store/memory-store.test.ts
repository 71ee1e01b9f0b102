import * as fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { EXPIRY_SWEEP_MS } from './expiries.ts';
import { MemoryStore } from './memory-store.ts';
import type { StoreEvent, StoreProgress } from './store.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('the memory store', () => {
  it('gives each write the next revision and each entry the revisions of its first and last write', async () => {
    await using store = new MemoryStore();
    expect(await store.revision()).toBe(1);
    await store.put('/a', '1');
    await store.put('/b', '1');
    await store.put('/a', '2');
    expect((await store.get('/a')).entry).toEqual({ key: '/a', value: '2', createRevision: 2, modRevision: 4 });
    expect(await store.revision()).toBe(4);
  });

  it('writes only over the expected revision, and says what stood in the way', async () => {
    await using store = new MemoryStore();
    expect(await store.put('/a', '1', { expectedRevision: 0 })).toMatchObject({ written: true, revision: 2 });
    expect(await store.put('/a', '2', { expectedRevision: 0 })).toMatchObject({
      written: false,
      current: { value: '1' },
    });
    expect(await store.put('/a', '2', { expectedRevision: 2 })).toMatchObject({ written: true, revision: 3 });
    expect(await store.delete('/a', { expectedRevision: 2 })).toMatchObject({
      written: false,
      current: { value: '2' },
    });
    expect(await store.delete('/a', { expectedRevision: 3 })).toMatchObject({ written: true, revision: 4 });
    expect(await store.delete('/a')).toEqual({ written: false, current: undefined });
  });

  it('gives pages of one revision while keys come, change and go', async () => {
    await using store = new MemoryStore();
    for (const name of ['a', 'b', 'd', 'e']) await store.put(`/x/${name}`, '1');
    await store.put('/y/z', '1');
    const first = await store.range('/x/', { limit: 2 });
    expect(first.entries.map(({ key }) => key)).toEqual(['/x/a', '/x/b']);
    expect(first.remaining).toBe(2);
    await store.put('/x/c', 'new');
    await store.put('/x/d', 'changed');
    await store.delete('/x/e');
    const second = await store.range('/x/', { after: '/x/b', limit: 2, revision: first.revision });
    expect(second.entries.map(({ key, value }) => [key, value])).toEqual([
      ['/x/d', '1'],
      ['/x/e', '1'],
    ]);
    expect(second.remaining).toBe(0);
    const now = await store.range('/x/', { after: '/x/b' });
    expect(now.entries.map(({ key, value }) => [key, value])).toEqual([
      ['/x/c', 'new'],
      ['/x/d', 'changed'],
    ]);
  });

  it('refuses revisions that it has forgotten and those that it has not reached', async () => {
    await using store = new MemoryStore({ historyEvents: 2 });
    for (let n = 0; n < 5; n += 1) await store.put('/a', String(n));
    await expect(store.range('/', { revision: 3 })).rejects.toMatchObject({ code: 'ERR_REVISION_COMPACTED' });
    await expect(store.range('/', { revision: 4 })).resolves.toMatchObject({ entries: [{ value: '2' }] });
    await expect(store.range('/', { revision: 7 })).rejects.toMatchObject({ code: 'ERR_REVISION_FUTURE' });
    const late = store.watch('/', 3)[Symbol.asyncIterator]();
    await expect(late.next()).rejects.toMatchObject({
      code: 'ERR_REVISION_COMPACTED',
      message: 'too old resource version: 3 (4)',
    });
  });

  it('forgets changes by the bytes that they hold', async () => {
    await using store = new MemoryStore({ historyBytes: 1000 });
    for (let n = 0; n < 10; n += 1) await store.put(`/${n}`, 'x'.repeat(300));
    await expect(store.range('/', { revision: 7 })).rejects.toMatchObject({ code: 'ERR_REVISION_COMPACTED' });
    await expect(store.range('/', { revision: 8 })).resolves.toMatchObject({ revision: 8 });
  });

  it('takes no more than its quota, and gives room back', async () => {
    await using store = new MemoryStore({ quotaBytes: 100 });
    await store.put('/a', 'x'.repeat(60));
    await expect(store.put('/b', 'x'.repeat(60))).rejects.toMatchObject({ code: 'ERR_STORE_FULL' });
    await store.put('/a', 'y'.repeat(90));
    await store.delete('/a');
    await expect(store.put('/b', 'x'.repeat(60))).resolves.toMatchObject({ written: true });
  });

  it('removes keys when their time to live is over, as a change like any other', async () => {
    vi.useFakeTimers();
    await using store = new MemoryStore();
    await store.put('/short', '1', { ttlMs: 1000 });
    await store.put('/renewed', '1', { ttlMs: 1000 });
    await store.put('/renewed', '2', { ttlMs: 60_000 });
    await vi.advanceTimersByTimeAsync(EXPIRY_SWEEP_MS);
    expect((await store.range('/')).entries.map(({ key }) => key)).toEqual(['/renewed']);
    expect(await store.revision()).toBe(5);
    await vi.advanceTimersByTimeAsync(60_000);
    expect((await store.range('/')).entries).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends a watch when its signal aborts and when the store closes', async () => {
    const store = new MemoryStore();
    const stop = new AbortController();
    const aborted = store.watch('/', 1, { signal: stop.signal })[Symbol.asyncIterator]();
    const closed = store.watch('/', 1)[Symbol.asyncIterator]();
    const endings = [aborted.next(), closed.next()];
    stop.abort();
    expect(await endings[0]).toEqual({ done: true, value: undefined });
    await store.close();
    expect(await endings[1]).toEqual({ done: true, value: undefined });
    await expect(store.put('/a', '1')).rejects.toMatchObject({ code: 'ERR_STORE_CLOSED' });
  });

  it('tells a watch of a quiet prefix how far the store has come', async () => {
    await using store = new MemoryStore();
    const quiet = store.watch('/quiet/', 1)[Symbol.asyncIterator]();
    const told = quiet.next();
    await store.put('/busy/a', '1');
    expect(await told).toEqual({ done: false, value: { type: 'progress', revision: 2 } });
  });

  it('gives a watch from any revision each later change under its prefix once and in order', async () => {
    const write = fc.record({
      key: fc.constantFrom('/a/1', '/a/2', '/b/1'),
      value: fc.option(fc.string({ maxLength: 3 }), { nil: undefined }),
      readFirst: fc.nat(3),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(write, { minLength: 1, maxLength: 40 }), fc.nat(), async (writes, from) => {
        await using store = new MemoryStore();
        const before = from % writes.length;
        const expected: string[] = [];
        const seen: string[] = [];
        let reader = store.watch('/a/', 1)[Symbol.asyncIterator]();
        const read = async (): Promise<void> => {
          const { value } = (await reader.next()) as IteratorYieldResult<StoreEvent | StoreProgress>;
          if (value.type === 'put') seen.push(`${value.revision} ${value.entry.key}=${value.entry.value}`);
          if (value.type === 'delete') seen.push(`${value.revision} ${value.previous.key} gone`);
        };
        for (const [index, { key, value, readFirst }] of writes.entries()) {
          if (index === before) reader = store.watch('/a/', await store.revision())[Symbol.asyncIterator]();
          for (let n = 0; n < readFirst && seen.length < expected.length; n += 1) await read();
          const result = value === undefined ? await store.delete(key) : await store.put(key, value);
          if (!result.written || !key.startsWith('/a/') || index < before) continue;
          expected.push(`${result.revision} ${value === undefined ? `${key} gone` : `${key}=${value}`}`);
        }
        while (seen.length < expected.length) await read();
        expect(seen).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });

  it('gives at every held revision what a plain map held then', async () => {
    const write = fc.record({
      key: fc.constantFrom('/a', '/b', '/c', '/d'),
      value: fc.option(fc.string(), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(write, { maxLength: 30 }), async (writes) => {
        await using store = new MemoryStore();
        const plain = new Map<string, string>();
        const states = new Map([[1, '{}']]);
        for (const { key, value } of writes) {
          const result = value === undefined ? await store.delete(key) : await store.put(key, value);
          if (value === undefined) plain.delete(key);
          else plain.set(key, value);
          if (result.written) states.set(result.revision, JSON.stringify(Object.fromEntries([...plain].sort(byKey))));
        }
        for (const [revision, state] of states) {
          const { entries } = await store.range('/', { revision });
          expect(JSON.stringify(Object.fromEntries(entries.map(({ key, value }) => [key, value])))).toBe(state);
        }
      }),
      { numRuns: 100 },
    );
  });
});

function byKey([left]: [string, string], [right]: [string, string]): number {
  return left < right ? -1 : 1;
}
