import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { MemoryIo } from '../../test/support/memory-io.ts';
import { ExecPathError } from '../common/errors.ts';
import { ApiStatusError } from '../kubeapi/index.ts';
import { eachObject } from './each-object.ts';

const refusal = (message: string): ApiStatusError =>
  new ApiStatusError({ status: 'Failure', reason: 'Forbidden', message, code: 403 }, 403);

it('has all objects have their turn, and tells then what was refused', async () => {
  const io = new MemoryIo(Readable.from([]));
  const done: string[] = [];
  const code = await eachObject(['a', 'b', 'c'], { io, failures: [refusal('before')] }, async (one) => {
    if (one === 'b') throw refusal('not b');
    done.push(one);
  });
  expect([code, done]).toEqual([1, ['a', 'c']]);
  expect(io.err.text.match(/^Error.*$/gm)).toEqual([
    'Error from server (Forbidden): before',
    'Error from server (Forbidden): not b',
  ]);
});

it('ends at a lost connection, and has told what was refused before', async () => {
  const io = new MemoryIo(Readable.from([]));
  const lost = new ExecPathError('ERR_CONNECTION_LOST', 'gone');
  const acting = eachObject(['a', 'b', 'c'], { io, failures: [] }, async (one) => {
    throw one === 'a' ? refusal('not a') : lost;
  });
  await expect(acting).rejects.toBe(lost);
  expect(io.err.text).toMatch(/^Error from server \(Forbidden\): not a$/m);
  expect(io.err.text).not.toContain('gone');
});

it('ends with 0 when nothing failed', async () => {
  const io = new MemoryIo(Readable.from([]));
  expect(await eachObject(['a'], { io, failures: [] }, async () => {})).toBe(0);
  expect(io.err.text).toBe('');
});
