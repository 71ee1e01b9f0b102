import { closeSync, existsSync, mkdtempSync, readdirSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FifoPool } from './fifo-pool.ts';

let parent: string;
let pool: FifoPool;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'podwire-pool-'));
  pool = new FifoPool(parent);
});

afterEach(() => {
  pool.close();
  rmSync(parent, { recursive: true });
});

const read = (fd: number): string | undefined => {
  const buffer = Buffer.alloc(64);
  try {
    return buffer.toString('latin1', 0, readSync(fd, buffer));
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code;
  }
};

describe('a pool of pipes', () => {
  it('gives pipes whose end is seen when the writer closes, both ways', async () => {
    const out = await pool.fromChild();
    expect(read(out.ours)).toBe('EAGAIN');
    writeSync(out.childs, 'x');
    closeSync(out.childs);
    expect([read(out.ours), read(out.ours)]).toEqual(['x', '']);
    closeSync(out.ours);
    const input = await pool.toChild();
    writeSync(input.ours, 'y');
    closeSync(input.ours);
    expect([read(input.childs), read(input.childs)]).toEqual(['y', '']);
    closeSync(input.childs);
  });

  it('keeps them in a directory that only we may enter, and unlinks each when it is handed out', async () => {
    const pipe = await pool.fromChild();
    const [name] = readdirSync(parent);
    expect(statSync(join(parent, name!)).mode & 0o777).toBe(0o700);
    const before = readdirSync(join(parent, name!)).length;
    const other = await pool.fromChild();
    expect(readdirSync(join(parent, name!)).length).toBe(before - 1);
    for (const end of [pipe, other]) {
      closeSync(end.ours);
      closeSync(end.childs);
    }
  });

  it('is refilled for any number of takers at once, and gives no two the same pipe', async () => {
    const pipes = await Promise.all(Array.from({ length: 600 }, () => pool.fromChild()));
    const inodes = new Set(pipes.map(({ ours }) => readlinkInode(ours)));
    expect(inodes.size).toBe(600);
    for (const { ours, childs } of pipes) {
      closeSync(ours);
      closeSync(childs);
    }
  });

  it('leaves nothing when closed, and can be used again', async () => {
    await closeBoth(pool);
    pool.close();
    expect(readdirSync(parent)).toEqual([]);
    await closeBoth(pool);
    expect(existsSync(parent)).toBe(true);
  });

  it('says why when no pipes can be made', async () => {
    const broken = new FifoPool('/nope');
    await expect(broken.toChild()).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

const readlinkInode = (fd: number): number => statSync(`/proc/self/fd/${fd}`).ino;

async function closeBoth(from: FifoPool): Promise<void> {
  const { ours, childs } = await from.toChild();
  closeSync(ours);
  closeSync(childs);
}
