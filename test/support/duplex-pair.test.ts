import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { duplexPair } from './duplex-pair.ts';
import { readAll } from './read-all.ts';

it('carries bytes both ways, and EOF one way leaves the other open', async () => {
  const [near, far] = duplexPair();
  near.end('question');
  expect((await readAll(far)).toString()).toBe('question');
  far.end('answer');
  expect((await readAll(near)).toString()).toBe('answer');
});

it('stops a writer whose reader does not read', async () => {
  const [near, far] = duplexPair(1024);
  let written = 0;
  while (near.write(Buffer.alloc(256))) written += 256;
  expect(written).toBeLessThanOrEqual(1024);
  const drained = once(near, 'drain');
  far.resume();
  await drained;
});

it('carries a megabyte through small buffers unchanged', async () => {
  const [near, far] = duplexPair(1000);
  const bytes = Buffer.from(Array.from({ length: 1_000_000 }, (_, index) => index % 251));
  near.end(bytes);
  expect((await readAll(far)).equals(bytes)).toBe(true);
});

it('ends both sides when one is destroyed', async () => {
  const [near, far] = duplexPair();
  const closed = once(far, 'close');
  near.destroy();
  await closed;
  await expect(readAll(far)).rejects.toThrow('destroyed already');
});

it('reads until a bound', async () => {
  const [near, far] = duplexPair();
  near.end(Buffer.alloc(100));
  await expect(readAll(far, 99)).rejects.toThrow('more than 99 bytes');
});
