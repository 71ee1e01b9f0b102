import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  MAX_VALUE_BYTES,
  type Store,
  type StoreEntry,
  type StoreEvent,
  type StoreProgress,
  type WriteOptions,
} from '../../src/store/index.ts';

/** A store for one test. */
export interface StoreWorld extends AsyncDisposable {
  readonly store: Store;
  /** Nobody else has keys here. Ends with a slash. */
  readonly prefix: string;
  /** Makes the store forget everything before its newest revision. */
  forgetHistory(): Promise<void>;
}

/** Test titles that a store cannot fulfil, each with its reason. */
export type Exceptions = Readonly<Record<string, string>>;

type Change = StoreEvent | StoreProgress;

/** What every {@link Store} does, whoever keeps it. */
export function storeCompliance(name: string, open: () => Promise<StoreWorld>, except: Exceptions = {}): void {
  const behaviour = (title: string, run: (world: StoreWorld) => Promise<void>, timeoutMs = 60_000): void => {
    it.skipIf(title in except)(
      title,
      async () => {
        await using world = await open();
        await run(world);
      },
      timeoutMs,
    );
  };

  describe(`the ${name} store keeps the Store contract`, () => {
    behaviour('gives each write a higher revision, and entries those of their first and last', async (world) => {
      const { store, prefix } = world;
      const before = await store.revision();
      const first = await store.put(`${prefix}a`, '1');
      const other = await store.put(`${prefix}b`, '1');
      const second = await store.put(`${prefix}a`, '2');
      expect(revisionOf(first)).toBeGreaterThan(before);
      expect(revisionOf(other)).toBeGreaterThan(revisionOf(first));
      expect(revisionOf(second)).toBeGreaterThan(revisionOf(other));
      const entry = {
        key: `${prefix}a`,
        value: '2',
        createRevision: revisionOf(first),
        modRevision: revisionOf(second),
      };
      expect(second).toMatchObject({ entry });
      expect((await store.get(`${prefix}a`)).entry).toEqual(entry);
      expect(await store.revision()).toBe(revisionOf(second));
      expect((await store.get(`${prefix}none`)).entry).toBeUndefined();
    });

    behaviour('begins a key anew after it was removed', async ({ store, prefix }) => {
      const first = await store.put(`${prefix}a`, '1');
      const removed = await store.delete(`${prefix}a`);
      expect(removed).toMatchObject({ written: true, entry: { value: '1', modRevision: revisionOf(first) } });
      const again = await store.put(`${prefix}a`, '2', { expectedRevision: 0 });
      expect(again).toMatchObject({ entry: { createRevision: revisionOf(again) } });
    });

    behaviour('writes only over the expected revision, and says what stood in the way', async ({ store, prefix }) => {
      const key = `${prefix}a`;
      const first = revisionOf(await store.put(key, '1', { expectedRevision: 0 }));
      const inTheWay = { written: false, current: { key, value: '1', modRevision: first } };
      expect(await store.put(key, '2', { expectedRevision: 0 })).toMatchObject(inTheWay);
      expect(await store.put(key, '2', { expectedRevision: first - 1 })).toMatchObject(inTheWay);
      expect(await store.delete(key, { expectedRevision: first - 1 })).toMatchObject(inTheWay);
      const second = revisionOf(await store.put(key, '2', { expectedRevision: first }));
      expect(await store.delete(key, { expectedRevision: second })).toMatchObject({ written: true });
      expect(await store.delete(key)).toEqual({ written: false, current: undefined });
      expect(await store.delete(key, { expectedRevision: second })).toEqual({ written: false, current: undefined });
      expect(await store.put(key, '3', { expectedRevision: second })).toEqual({ written: false, current: undefined });
    });

    behaviour('raises no revision for what it refuses', async ({ store, prefix }) => {
      await store.put(`${prefix}a`, '1');
      const before = await store.revision();
      await store.put(`${prefix}a`, '2', { expectedRevision: 0 });
      await store.delete(`${prefix}none`);
      expect(await store.revision()).toBe(before);
    });

    behaviour('lists what lies under a prefix and nothing else, in order', async ({ store, prefix }) => {
      for (const key of ['b/2', 'a', 'b/1', 'b', 'b0', 'c/1']) await store.put(prefix + key, key);
      const { entries, remaining, revision } = await store.range(`${prefix}b/`);
      expect(entries.map(({ key, value }) => [key, value])).toEqual([
        [`${prefix}b/1`, 'b/1'],
        [`${prefix}b/2`, 'b/2'],
      ]);
      expect(remaining).toBe(0);
      expect(revision).toBe(await store.revision());
      expect((await store.range(`${prefix}d/`)).entries).toEqual([]);
    });

    behaviour('gives pages of one revision while keys come, change and go', async ({ store, prefix }) => {
      for (const name of ['a', 'b', 'd', 'e']) await store.put(`${prefix}x/${name}`, '1');
      await store.put(`${prefix}y/z`, '1');
      const first = await store.range(`${prefix}x/`, { limit: 2 });
      expect(first.entries.map(({ key }) => key)).toEqual([`${prefix}x/a`, `${prefix}x/b`]);
      expect(first.remaining).toBe(2);
      await store.put(`${prefix}x/c`, 'new');
      await store.put(`${prefix}x/d`, 'changed');
      await store.delete(`${prefix}x/e`);
      const rest = { after: `${prefix}x/b`, limit: 2, revision: first.revision };
      const second = await store.range(`${prefix}x/`, rest);
      expect(second).toMatchObject({ revision: first.revision, remaining: 0 });
      expect(second.entries.map(({ key, value }) => [key, value])).toEqual([
        [`${prefix}x/d`, '1'],
        [`${prefix}x/e`, '1'],
      ]);
      const now = await store.range(`${prefix}x/`, { after: `${prefix}x/b` });
      expect(now.entries.map(({ value }) => value)).toEqual(['new', 'changed']);
    });

    behaviour('refuses revisions that it has forgotten and those that it has not reached', async (world) => {
      const { store, prefix } = world;
      const old = revisionOf(await store.put(`${prefix}a`, '1'));
      for (let n = 0; n < 5; n += 1) await store.put(`${prefix}a`, String(n));
      await world.forgetHistory();
      await expect(store.range(prefix, { revision: old })).rejects.toMatchObject({ code: 'ERR_REVISION_COMPACTED' });
      await expect(firstOf(store.watch(prefix, old))).rejects.toMatchObject({ code: 'ERR_REVISION_COMPACTED' });
      const future = (await store.revision()) + 1000;
      await expect(store.range(prefix, { revision: future })).rejects.toMatchObject({ code: 'ERR_REVISION_FUTURE' });
      await expect(firstOf(store.watch(prefix, future))).rejects.toMatchObject({ code: 'ERR_REVISION_FUTURE' });
      const newest = await store.range(prefix, { revision: await store.revision() });
      expect(newest.entries.map(({ value }) => value)).toEqual(['4']);
    });

    behaviour('takes values up to its limit and none above', async ({ store, prefix }) => {
      const value = 'x'.repeat(MAX_VALUE_BYTES - 200);
      await store.put(`${prefix}big`, value);
      expect((await store.get(`${prefix}big`)).entry?.value).toBe(value);
      const over = store.put(`${prefix}big`, 'é'.repeat(MAX_VALUE_BYTES / 2 + 1));
      await expect(over).rejects.toMatchObject({ code: 'ERR_BODY_TOO_LARGE' });
      await store.put(`${prefix}big2`, value);
      const both = await store.range(prefix);
      expect(both.entries.map((entry) => entry.value.length)).toEqual([value.length, value.length]);
    });

    behaviour('keeps any text as it is', async ({ store, prefix }) => {
      const values = ['', ' ', '\n', '{"a":"\\u0000"}', 'grüße ☂ 😀', '\0', '1 2 3\n4'];
      for (const [at, value] of values.entries()) await store.put(`${prefix}${at}`, value);
      expect((await store.range(prefix)).entries.map(({ value }) => value)).toEqual(values);
    });

    behaviour('gives a watch every later change under its prefix, with what stood there before', async (world) => {
      const { store, prefix } = world;
      const start = await store.revision();
      const changes = reader(store.watch(`${prefix}x/`, start));
      const created = revisionOf(await store.put(`${prefix}x/a`, '1'));
      await store.put(`${prefix}y/a`, '1');
      const changed = revisionOf(await store.put(`${prefix}x/a`, '2'));
      const removed = revisionOf(await store.delete(`${prefix}x/a`));
      const first = { key: `${prefix}x/a`, value: '1', createRevision: created, modRevision: created };
      const second = { ...first, value: '2', modRevision: changed };
      const expected = [
        { type: 'put', revision: created, entry: first },
        { type: 'put', revision: changed, entry: second, previous: first },
        { type: 'delete', revision: removed, previous: second },
      ];
      expect(await changes.take(3)).toEqual(expected);
      const late = reader(store.watch(`${prefix}x/`, start));
      expect(await late.take(3)).toEqual(expected);
      const later = reader(store.watch(`${prefix}x/`, created));
      expect(await later.take(2)).toEqual(expected.slice(1));
      await Promise.all([changes.end(), late.end(), later.end()]);
    });

    behaviour('tells a watch of a quiet prefix how far the store has come', async ({ store, prefix }) => {
      const quiet = store.watch(`${prefix}quiet/`, await store.revision())[Symbol.asyncIterator]();
      const told = quiet.next();
      const revision = revisionOf(await store.put(`${prefix}busy/a`, '1'));
      expect(await told).toEqual({ done: false, value: { type: 'progress', revision } });
      await quiet.return?.();
    });

    behaviour('ends a watch when its signal aborts and when the store closes', async ({ store, prefix }) => {
      const stop = new AbortController();
      const revision = await store.revision();
      const aborted = store.watch(prefix, revision, { signal: stop.signal })[Symbol.asyncIterator]();
      const closed = store.watch(prefix, revision)[Symbol.asyncIterator]();
      const endings = [aborted.next(), closed.next()];
      stop.abort();
      expect(await endings[0]).toEqual({ done: true, value: undefined });
      await store.close();
      expect(await endings[1]).toEqual({ done: true, value: undefined });
      await expect(store.put(`${prefix}a`, '1')).rejects.toMatchObject({ code: 'ERR_STORE_CLOSED' });
      await store.close();
    });

    behaviour('removes keys when their time to live is over, as a change like any other', async ({ store, prefix }) => {
      const start = await store.revision();
      const changes = reader(store.watch(prefix, start));
      await store.put(`${prefix}kept`, '1', { ttlMs: 2000 });
      await store.put(`${prefix}kept`, '2');
      await store.put(`${prefix}gone/1`, '1', { ttlMs: 2000 });
      await store.put(`${prefix}gone/2`, '1', { ttlMs: 2000 });
      const seen = await changes.take(6);
      const removed = seen.filter(({ type }) => type === 'delete') as Extract<StoreEvent, { type: 'delete' }>[];
      expect(removed.map(({ previous }) => previous.key).toSorted()).toEqual([`${prefix}gone/1`, `${prefix}gone/2`]);
      // Each at a revision of its own: who has seen the one and comes back from there misses not the other.
      expect(new Set(removed.map(({ revision }) => revision)).size).toBe(2);
      expect((await store.range(prefix)).entries.map(({ key }) => key)).toEqual([`${prefix}kept`]);
      await changes.end();
    });

    behaviour('lets one of many win each compare-and-put, and shows all that won', async ({ store, prefix }) => {
      const key = `${prefix}counter`;
      const start = revisionOf(await store.put(key, '0'));
      const changes = reader(store.watch(prefix, start));
      const add = async (): Promise<void> => {
        for (;;) {
          const { entry } = await store.get(key);
          const options = { expectedRevision: entry?.modRevision ?? 0 };
          const { written } = await store.put(key, String(Number(entry?.value) + 1), options);
          if (written) return;
        }
      };
      await Promise.all(Array.from({ length: 8 }, () => Promise.all([add(), add(), add()])));
      expect((await store.get(key)).entry?.value).toBe('24');
      const seen = await changes.take(24);
      expect(seen.map((event) => event.type === 'put' && event.entry.value)).toEqual(
        Array.from({ length: 24 }, (_, n) => String(n + 1)),
      );
      await changes.end();
    });

    behaviour('lets one of many create a key', async ({ store, prefix }) => {
      const attempts = Array.from({ length: 20 }, (_, n) =>
        store.put(`${prefix}a`, String(n), { expectedRevision: 0 }),
      );
      const results = await Promise.all(attempts);
      expect(results.filter(({ written }) => written)).toHaveLength(1);
      const { entry } = await store.get(`${prefix}a`);
      for (const result of results) if (!result.written) expect(result.current).toEqual(entry);
    });

    behaviour('holds many keys, and reads them in pages and at once', async ({ store, prefix }) => {
      const names = Array.from({ length: 2000 }, (_, n) => `${prefix}many/${String(n).padStart(5, '0')}`);
      for (let at = 0; at < names.length; at += 100) {
        await Promise.all(names.slice(at, at + 100).map((key) => store.put(key, key)));
      }
      expect((await store.range(prefix)).entries.map(({ key }) => key)).toEqual(names);
      const paged: string[] = [];
      for (let after: string | undefined; paged.length < names.length; after = paged.at(-1)) {
        const page = await store.range(prefix, { limit: 333, ...(after === undefined ? {} : { after }) });
        paged.push(...page.entries.map(({ key }) => key));
        expect(page.remaining).toBe(names.length - paged.length);
      }
      expect(paged).toEqual(names);
    });

    behaviour('agrees with a plain map at every revision, and its watches with what was written', async (world) => {
      let round = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 30 }), async (operations) => {
          round += 1;
          await playAgainstMap(world.store, `${world.prefix}${round}/`, operations);
        }),
        { numRuns: 40 },
      );
    });

    behaviour('keeps one history in which every answer is true while many write at once', async (world) => {
      let round = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(operation, { minLength: 2, maxLength: 40 }), async (operations) => {
          round += 1;
          await playAtOnce(world.store, `${world.prefix}${round}/`, operations);
        }),
        { numRuns: 40 },
      );
    });
  });
}

interface Operation {
  readonly key: string;
  /** Undefined: remove. */
  readonly value: string | undefined;
  /** Which revision is expected: any, that of an absent key, the right one, one before. */
  readonly expect: 'any' | 'absent' | 'current' | 'stale';
}

const operation: fc.Arbitrary<Operation> = fc.record({
  key: fc.constantFrom('a/1', 'a/2', 'b/1', 'b'),
  value: fc.option(fc.string({ maxLength: 8 }), { nil: undefined }),
  expect: fc.constantFrom('any', 'absent', 'current', 'stale'),
});

/** The oracle: a map and a list of what it was after each write, as slow and plain as can be. */
async function playAgainstMap(store: Store, prefix: string, operations: readonly Operation[]): Promise<void> {
  const map = new Map<string, StoreEntry>();
  const start = await store.revision();
  const snapshots = [{ revision: start, entries: [] as StoreEntry[] }];
  const written: string[] = [];
  const note = (revision: number, key: string, value: string | undefined): void => {
    if (value === undefined) map.delete(key);
    else map.set(key, { key, value, createRevision: map.get(key)?.createRevision ?? revision, modRevision: revision });
    written.push(`${revision} ${key} ${value ?? 'removed'}`);
    const entries = [...map.values()].toSorted((one, other) => (one.key < other.key ? -1 : 1));
    snapshots.push({ revision, entries });
  };
  for (const { key: name, value, expect: wanted } of operations) {
    const key = prefix + name;
    const current = map.get(key);
    const options = optionsOf(wanted, current);
    const result = value === undefined ? await store.delete(key, options) : await store.put(key, value, options);
    const isRefused =
      options.expectedRevision !== undefined && options.expectedRevision !== (current?.modRevision ?? 0);
    expect(result.written).toBe(!isRefused && (value !== undefined || current !== undefined));
    if (result.written) note(result.revision, key, value);
    else expect(result.current).toEqual(current);
  }
  for (const { revision, entries } of snapshots) {
    const all = await store.range(prefix, { revision });
    expect(all).toEqual({ entries, revision, remaining: 0 });
  }
  const middle = snapshots[Math.floor(snapshots.length / 2)]?.revision ?? start;
  const changes = reader(store.watch(prefix, middle));
  const expected = written.filter((line) => Number.parseInt(line, 10) > middle);
  const seen = await changes.take(expected.length);
  expect(seen.map(lineOf)).toEqual(expected);
  await changes.end();
}

function optionsOf(wanted: Operation['expect'], current: StoreEntry | undefined): WriteOptions {
  switch (wanted) {
    case 'any':
      return {};
    case 'absent':
      return { expectedRevision: 0 };
    case 'current':
      return { expectedRevision: current?.modRevision ?? 0 };
    case 'stale':
      return { expectedRevision: 1 };
  }
}

/** All at once: whatever their order was, the history must be one in which each answer is true. */
async function playAtOnce(store: Store, prefix: string, operations: readonly Operation[]): Promise<void> {
  const start = await store.revision();
  const attempts = operations.map(async ({ key: name, value, expect: wanted }) => {
    const key = prefix + name;
    const options = optionsOf(wanted, wanted === 'current' ? (await store.get(key)).entry : undefined);
    const result = value === undefined ? await store.delete(key, options) : await store.put(key, value, options);
    return { key, value, options, result };
  });
  const answers = await Promise.all(attempts);
  const written = new Map(
    answers.flatMap((answer) => (answer.result.written ? [[answer.result.revision, answer]] : [])),
  );
  expect(written.size).toBe(answers.filter(({ result }) => result.written).length);
  const changes = reader(store.watch(prefix, start));
  const state = new Map<string, StoreEntry>();
  const seen = await changes.take(written.size);
  const states = new Map<string, (StoreEntry | undefined)[]>();
  for (const event of seen) {
    const answer = written.get(event.revision);
    const { key } = event.type === 'put' ? event.entry : event.previous;
    expect(answer?.key).toBe(key);
    expect(event.previous).toEqual(state.get(key));
    const { expectedRevision } = answer?.options ?? {};
    if (expectedRevision !== undefined) expect(event.previous?.modRevision ?? 0).toBe(expectedRevision);
    if (event.type === 'put') state.set(key, event.entry);
    else state.delete(key);
    states.set(key, [...(states.get(key) ?? [undefined]), state.get(key)]);
  }
  for (const { key, result } of answers) {
    if (!result.written) expect(states.get(key) ?? [undefined]).toContainEqual(result.current);
  }
  expect((await store.range(prefix)).entries).toEqual(
    [...state.values()].toSorted((one, other) => (one.key < other.key ? -1 : 1)),
  );
  await changes.end();
}

function lineOf(event: StoreEvent): string {
  return event.type === 'put'
    ? `${event.revision} ${event.entry.key} ${event.entry.value}`
    : `${event.revision} ${event.previous.key} removed`;
}

function revisionOf(result: Awaited<ReturnType<Store['put']>>): number {
  if (!result.written) throw new Error(`not written: ${JSON.stringify(result)}`);
  return result.revision;
}

async function firstOf(watch: AsyncIterable<Change>): Promise<Change | undefined> {
  for await (const change of watch) return change;
  return undefined;
}

/** Reads the changes of a watch and leaves its progress out. */
function reader(watch: AsyncIterable<Change>): { take(count: number): Promise<StoreEvent[]>; end(): Promise<void> } {
  const iterator = watch[Symbol.asyncIterator]();
  // It begins to watch now, not when somebody looks.
  let next = iterator.next();
  return {
    take: async (count) => {
      const events: StoreEvent[] = [];
      while (events.length < count) {
        const { done, value } = await next;
        if (done === true) throw new Error(`the watch ended after ${events.length} of ${count} changes`);
        if (value.type !== 'progress') events.push(value);
        next = iterator.next();
      }
      return events;
    },
    end: async () => {
      // What is asked for already may never come.
      void next.catch(() => {});
      void iterator.return?.();
    },
  };
}
