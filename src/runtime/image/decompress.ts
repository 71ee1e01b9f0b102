import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream';
import zlib, { createGunzip } from 'node:zlib';
import { ExecPathError, toError } from '../../common/errors.ts';

const GZIP = [0x1f, 0x8b];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];

/** Absent before Node 22.15. */
const createZstdDecompress = (zlib as { readonly createZstdDecompress?: () => NodeJS.ReadWriteStream & Readable })
  .createZstdDecompress;

/**
 * The bytes of `file`, uncompressed: gzip, zstd or plain, told apart by their first bytes and not by a media type.
 *
 * @throws ExecPathError ERR_IMAGE_ARCHIVE, from the iteration too, for what cannot be uncompressed
 */
export async function* readUncompressed(file: string): AsyncGenerator<Buffer, void, undefined> {
  const magic = await firstBytes(file);
  const starts = (bytes: readonly number[]): boolean => bytes.every((byte, at) => magic[at] === byte);
  try {
    if (starts(GZIP)) yield* throughStream(file, createGunzip());
    else if (!starts(ZSTD)) yield* createReadStream(file) as AsyncIterable<Buffer>;
    else if (createZstdDecompress !== undefined) yield* throughStream(file, createZstdDecompress());
    else yield* throughZstd(file);
  } catch (thrown) {
    if (thrown instanceof ExecPathError) throw thrown;
    const message = `${file} cannot be uncompressed: ${toError(thrown).message}`;
    throw new ExecPathError('ERR_IMAGE_ARCHIVE', message, { cause: thrown });
  }
}

async function firstBytes(file: string): Promise<Buffer> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

function throughStream(file: string, unpack: NodeJS.ReadWriteStream & Readable): AsyncIterable<Buffer> {
  // Its error comes out of the iteration.
  pipeline(createReadStream(file), unpack, () => {});
  return unpack as AsyncIterable<Buffer>;
}

/** Older Node has no zstd: zstd(1) has. */
async function* throughZstd(file: string): AsyncGenerator<Buffer, void, undefined> {
  const child = spawn('zstd', ['-dcq', '--', file], { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = Promise.race([once(child, 'close'), once(child, 'error')]).catch((error: unknown) => [error]);
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const [code] = (await ended) as [unknown];
    if (code !== 0)
      throw new Error(code instanceof Error ? `zstd(1): ${code.message}` : `zstd ended with code ${String(code)}`);
  } finally {
    child.kill('SIGKILL');
  }
}
