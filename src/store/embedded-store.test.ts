import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runChild } from '../../test/support/child.ts';
import { EmbeddedStore } from './embedded-store.ts';
import { EXPIRY_SWEEP_MS } from './expiries.ts';
import type { StoreEvent, StoreProgress } from './store.ts';

let folder: string;
let dataDir: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-store-'));
  dataDir = join(folder, 'data');
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(folder, { recursive: true });
});

const open = (options: { historyEvents?: number; quotaBytes?: number } = {}): Promise<EmbeddedStore> =>
  EmbeddedStore.open({ dataDir, ...options });

async function take(watch: AsyncIterable<StoreEvent | StoreProgress>, count: number): Promise<StoreEvent[]> {
  const events: StoreEvent[] = [];
  for await (const event of watch) {
    if (event.type !== 'progress') events.push(event);
    if (events.length === count) break;
  }
  return events;
}

describe('the embedded store', () => {
  it('goes on where it stopped: entries, revisions and the history of watches', async () => {
    const first = await open();
    for (const name of ['a', 'b', 'c']) await first.put(`/x/${name}`, `${name}1`);
    await first.put('/x/a', 'a2');
    await first.delete('/x/b');
    await first.put('/x/a', 'a3');
    const entries = (await first.range('/x/')).entries;
    const events = await take(first.watch('/x/', 1), 6);
    await first.close();

    await using second = await open();
    expect(await second.revision()).toBe(7);
    expect((await second.range('/x/')).entries).toEqual(entries);
    expect(await take(second.watch('/x/', 1), 6)).toEqual(events);
    expect((await second.range('/x/', { revision: 5 })).entries.map(({ value }) => value)).toEqual(['a2', 'b1', 'c1']);
    expect(await second.put('/x/a', 'a4', { expectedRevision: 7 })).toMatchObject({ written: true, revision: 8 });
  });

  it('keeps as much history as it did before, and no more', async () => {
    const first = await open({ historyEvents: 10 });
    for (let n = 0; n < 30; n += 1) await first.put(`/${n % 3}`, String(n));
    await first.close();
    await using second = await open({ historyEvents: 10 });
    expect(await take(second.watch('/', 21), 10)).toHaveLength(10);
    await expect(second.range('/', { revision: 19 })).rejects.toMatchObject({ code: 'ERR_REVISION_COMPACTED' });
    await second.close();
    const level = new ClassicLevel(dataDir);
    let changes = 0;
    for await (const _ of level.keys({ gt: 'change/', lt: 'change0' })) changes += 1;
    await level.close();
    // What falls out is removed with the write after it.
    expect(changes).toBe(11);
  });

  it('removes what was to disappear while it was away', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
    const first = await open();
    await first.put('/event', '1', { ttlMs: 60_000 });
    await first.put('/kept', '1');
    await first.close();
    vi.setSystemTime(Date.now() + 61_000);
    await using second = await open();
    const gone = take(second.watch('/', 3), 1);
    await vi.advanceTimersByTimeAsync(EXPIRY_SWEEP_MS);
    expect(await gone).toMatchObject([{ type: 'delete', revision: 4, previous: { key: '/event' } }]);
    expect((await second.range('/')).entries.map(({ key }) => key)).toEqual(['/kept']);
  });

  it('takes no more than its quota', async () => {
    await using store = await open({ quotaBytes: 100 });
    const writes = ['/a', '/b'].map((key) => store.put(key, 'x'.repeat(60)));
    await expect(writes[0]).resolves.toMatchObject({ written: true });
    await expect(writes[1]).rejects.toMatchObject({ code: 'ERR_STORE_FULL' });
    await store.delete('/a');
    await expect(store.put('/b', 'x'.repeat(60))).resolves.toMatchObject({ written: true });
  });

  it('is refused to a second process, with the id of the first', async () => {
    await using store = await open();
    await store.put('/a', '1');
    await expect(open()).rejects.toMatchObject({ code: 'ERR_STATE_IN_USE' });
    const script = `
      const { EmbeddedStore } = await import(${JSON.stringify(join(import.meta.dirname, '../../dist/store/index.js'))});
      await EmbeddedStore.open({ dataDir: ${JSON.stringify(dataDir)} }).catch(({ code, message }) => console.log(code, message));`;
    const { stdout } = await runChild(process.execPath, ['--input-type=module', '-e', script]);
    expect(stdout.toString()).toBe(
      `ERR_STATE_IN_USE process ${process.pid} already runs with the data folder ${dataDir}; stop it or choose another --data-dir\n`,
    );
    expect(await store.put('/a', '2')).toMatchObject({ written: true });
  });

  it('leaves alone what is not its own', async () => {
    await mkdir(dataDir);
    await writeFile(join(dataDir, 'letter.txt'), 'dear diary');
    await expect(open()).rejects.toMatchObject({
      code: 'ERR_STORE_FILE',
      message: `the store's files in ${dataDir} have no index, but letter.txt lies there`,
    });
    expect(await readdir(dataDir)).toEqual(['letter.txt']);
    dataDir = join(folder, 'other');
    const other = new ClassicLevel(dataDir);
    await other.put('somebody', 'else');
    await other.close();
    await expect(open()).rejects.toMatchObject({
      code: 'ERR_STORE_FILE',
      message: expect.stringContaining('are of another program'),
    });
    await other.open();
    expect(await other.get('somebody')).toBe('else');
    await other.close();
    dataDir = join(folder, 'file');
    await writeFile(dataDir, '');
    await expect(open()).rejects.toMatchObject({ code: 'ERR_STORE_FILE' });
  });

  it('leaves alone what a newer version wrote', async () => {
    await (await open()).close();
    const level = new ClassicLevel(dataDir);
    await level.put('summary', '{"format":2,"surprise":true}');
    await level.close();
    await expect(open()).rejects.toMatchObject({
      code: 'ERR_STORE_FILE',
      message: `the store's files in ${dataDir} have format 2, written by a newer podwire: this one knows 1`,
    });
  });

  it('says that files are damaged in whichever place a byte is lost, or opens with every entry', async () => {
    const store = await open();
    const value = 'x'.repeat(3000);
    for (let n = 0; n < 3000; n += 300) {
      await Promise.all(Array.from({ length: 300 }, (_, at) => store.put(`/${n + at}`, value)));
    }
    await store.close();
    const names = (await readdir(dataDir)).filter((name) => !/^(?:LOCK|LOG.*|REVISION)$/.test(name));
    expect(names.length).toBeGreaterThan(4);
    for (const name of names) {
      const copy = join(folder, `without-${name}`);
      await mkdir(copy);
      for (const other of await readdir(dataDir)) await copyFile(join(dataDir, other), join(copy, other));
      const half = Math.floor((await stat(join(copy, name))).size / 2);
      if (name.endsWith('.log')) {
        const bytes = await readFile(join(copy, name));
        bytes.fill(0xff, half, half + 16);
        await writeFile(join(copy, name), bytes);
      } else await truncate(join(copy, name), half);
      // An empty file has nothing to lose.
      const opened = await EmbeddedStore.open({ dataDir: copy }).catch((error: unknown) => error);
      if (opened instanceof EmbeddedStore) {
        expect([name, (await opened.range('/')).entries.length]).toEqual([name, 3000]);
        await opened.close();
      } else expect([name, opened]).toMatchObject([name, { code: 'ERR_STORE_FILE' }]);
      await rm(copy, { recursive: true });
    }
  });

  it.skipIf(process.getuid?.() !== 0)('takes no write on a full disk, and goes on when there is room', async () => {
    await mkdir(dataDir);
    expect(await runChild('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', dataDir])).toMatchObject({ exitCode: 0 });
    const mounted = dataDir;
    dataDir = join(mounted, 'store');
    try {
      const store = await open();
      await writeFile(join(mounted, 'ballast'), Buffer.alloc(16 * 1024 * 1024));
      const value = 'x'.repeat(100_000);
      const acknowledged: string[] = [];
      const fill = async (): Promise<never> => {
        for (let n = 0; ; n += 1) {
          await store.put(`/${n}`, value);
          acknowledged.push(`/${n}`);
        }
      };
      await expect(fill()).rejects.toMatchObject({
        code: 'ERR_STORE_FULL',
        message: expect.stringContaining('No space left'),
      });
      expect((await store.range('/')).entries.map(({ key }) => key).toSorted()).toEqual(acknowledged.toSorted());
      await expect(store.put('/more', value)).rejects.toMatchObject({ code: 'ERR_STORE_FULL' });
      await rm(join(mounted, 'ballast'));
      acknowledged.push('/small');
      await store.put('/small', 'x');
      const before = await store.range('/');
      for (const key of acknowledged) expect((await store.get(key)).entry).toBeDefined();
      await store.close();
      const again = await open();
      expect(await again.range('/')).toEqual(before);
      await again.close();
    } finally {
      await runChild('umount', [mounted]);
    }
  });
});
