import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hexFixture } from '../../../test/support/spdy-pair.ts';
import { dictionary } from './dictionary.ts';
import { encodeHeaderBlock } from './header-block.ts';
import { HeaderDeflater, HeaderInflater } from './header-compression.ts';

/** zlib itself, one block at a time, as the other side. */
function oneBlock(zlib: Deflate | Inflate, bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    const collect = (piece: Buffer): number => pieces.push(piece);
    zlib.on('data', collect).once('error', reject);
    zlib.write(bytes, () => {
      zlib.off('data', collect).off('error', reject);
      resolve(Buffer.concat(pieces));
    });
  });
}

function inflated(inflater: HeaderInflater, block: Uint8Array): Record<string, string> {
  inflater.push(block);
  return Object.fromEntries(inflater.finish());
}

const zlibInflate = (): Inflate =>
  createInflate({ dictionary: Buffer.from(dictionary), finishFlush: constants.Z_SYNC_FLUSH });

describe('header compression', () => {
  it('inflates the blocks of appendix A, each direction in its own context', () => {
    const client = new HeaderInflater();
    expect(hexFixture('client-frames.hex').map((frame) => inflated(client, frame.subarray(18)))).toEqual([
      { streamtype: 'error' },
      { streamtype: 'stdin' },
      { streamtype: 'stdout' },
      { streamtype: 'error', port: '8080', requestid: '0' },
    ]);
    const server = new HeaderInflater();
    expect(hexFixture('server-frames.hex').map((frame) => inflated(server, frame.subarray(12)))).toEqual([{}, {}, {}]);
  });

  it('gotcha 9: ends every block with a sync flush, and only the first has a zlib preamble', () => {
    const deflater = new HeaderDeflater();
    const [first, second] = [1, 2].map(() => Buffer.from(deflater.deflate(encodeHeaderBlock({ streamtype: 'error' }))));
    expect(first?.subarray(0, 6).toString('hex')).toBe('7820e3c6a7c2');
    expect(first?.subarray(-4).toString('hex')).toBe('0000ffff');
    expect(second?.subarray(-4).toString('hex')).toBe('0000ffff');
    expect(second?.length).toBe((first?.length ?? 0) - 6);
  });

  it('makes blocks that zlib inflates, one after the other, long ones too', async () => {
    const deflater = new HeaderDeflater();
    const zlib = zlibInflate();
    for (const headers of [{ streamtype: 'error' }, {}, { a: 'x'.repeat(200_000) }, { streamtype: 'stdin' }]) {
      const block = encodeHeaderBlock(headers);
      expect(await oneBlock(zlib, deflater.deflate(block))).toEqual(Buffer.from(block));
    }
    zlib.close();
  });

  it('leaves out the flush at the one position where a Go peer would stumble over it', async () => {
    const deflater = new HeaderDeflater();
    const zlib = zlibInflate();
    const filler = encodeHeaderBlock({ a: 'x'.repeat(32_768 - dictionary.length - 13) });
    expect(dictionary.length + filler.length).toBe(32_768);
    const atTheEdge = Buffer.from(deflater.deflate(filler));
    expect(atTheEdge.subarray(-4).toString()).toBe('xxxx');
    expect(await oneBlock(zlib, atTheEdge)).toEqual(Buffer.from(filler));
    const next = deflater.deflate(encodeHeaderBlock({ b: 'y' }));
    expect(await oneBlock(zlib, next)).toEqual(Buffer.from(encodeHeaderBlock({ b: 'y' })));
    zlib.close();
    const ours = new HeaderInflater();
    expect(inflated(ours, atTheEdge)).toEqual({ a: expect.stringMatching(/^x+$/) });
    expect(inflated(ours, next)).toEqual({ b: 'y' });
  });

  it.each([0, 1, 6, 9])('gotcha 10: inflates what zlib makes at level %i', async (level) => {
    const zlib = createDeflate({ dictionary: Buffer.from(dictionary), level, flush: constants.Z_SYNC_FLUSH });
    const inflater = new HeaderInflater();
    const values = ['stdin', 'stdout', 'x'.repeat(100_000), 'error'];
    for (const value of values) {
      const block = await oneBlock(zlib, encodeHeaderBlock({ streamtype: value }));
      expect(inflated(inflater, block)).toEqual({ streamtype: value });
    }
    zlib.close();
  });

  it('gotcha 11: carries a random value of 900 KiB', async () => {
    const value = Buffer.from(Array.from({ length: 460_800 }, () => Math.floor(Math.random() * 256))).toString('hex');
    const inflater = new HeaderInflater();
    expect(inflated(inflater, new HeaderDeflater().deflate(encodeHeaderBlock({ a: value })))['a']).toBe(value);
    const zlib = createDeflate({ dictionary: Buffer.from(dictionary), level: 9, flush: constants.Z_SYNC_FLUSH });
    const block = await oneBlock(zlib, encodeHeaderBlock({ a: value }));
    expect(block.length).toBeGreaterThan(64 * 1024);
    expect(inflated(new HeaderInflater(), block)['a']).toBe(value);
    zlib.close();
  });

  it('gotcha 12: ends a bomb at the limit of a block, not when memory is full', async () => {
    const zlib = createDeflate({ dictionary: Buffer.from(dictionary), level: 9, flush: constants.Z_SYNC_FLUSH });
    const head = Buffer.from('000003e8', 'hex');
    const pair = Buffer.concat([Buffer.from('000000016100100000', 'hex'), Buffer.alloc(1024 * 1024)]);
    const bomb = await oneBlock(zlib, Buffer.concat([head, ...Array.from({ length: 64 }, () => pair)]));
    expect(bomb.length).toBeLessThan(100_000);
    const before = process.memoryUsage().arrayBuffers;
    expect(() => new HeaderInflater().push(bomb)).toThrow(/longer than 4194304 bytes/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
    zlib.close();
  });

  it('inflates blocks that come in pieces of any size', async () => {
    const zlib = createDeflate({ dictionary: Buffer.from(dictionary), level: 9, flush: constants.Z_SYNC_FLUSH });
    const block = await oneBlock(zlib, encodeHeaderBlock({ streamtype: 'error', port: '8080', requestid: '0' }));
    const inflater = new HeaderInflater();
    for (const byte of block) inflater.push(Uint8Array.of(byte));
    expect(Object.fromEntries(inflater.finish())).toEqual({ streamtype: 'error', port: '8080', requestid: '0' });
    zlib.close();
  });

  it('refuses another dictionary, a finished stream and bytes that are no deflate', () => {
    expect(() => new HeaderInflater().push(Buffer.from('7820e3c6a7c3', 'hex'))).toThrow(/dictionary e3c6a7c3/);
    const finished = Buffer.from('7820e3c6a7c20104 00fbff 00000000 00040001'.replace(/ /g, ''), 'hex');
    expect(() => new HeaderInflater().push(finished)).toThrow(/ends the compressed stream/);
    expect(() => new HeaderInflater().push(Buffer.from('ffffffffffff'))).toThrow(/does not inflate/);
  });

  it('raises nothing but ERR_HEADER_BLOCK, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (noise, preambled) => {
        const inflater = new HeaderInflater();
        try {
          if (preambled) inflater.push(Buffer.from('78bbe3c6a7c2', 'hex'));
          inflater.push(noise);
          inflater.finish();
        } catch (error) {
          expect(error).toMatchObject({ name: 'ProtocolError', code: 'ERR_HEADER_BLOCK' });
        }
      }),
      { numRuns: 500 },
    );
  });
});
