import type { Writable } from 'node:stream';

/** Bytes per write of a source: large enough that its own cost is the kernel's copy. */
export const SOURCE_WRITE_BYTES = 1024 * 1024;

const block = Buffer.alloc(SOURCE_WRITE_BYTES, 'podwire ');

/** Writes `bytes` bytes as fast as they are taken. Resolves when all were handed to the kernel, or the stream is gone. */
export function writeBytes(stream: Writable, bytes: number): Promise<void> {
  return new Promise((resolve) => {
    let left = bytes;
    const next = (): void => {
      while (left > 0) {
        const size = Math.min(left, block.length);
        left -= size;
        if (left === 0) {
          stream.write(block.subarray(0, size), () => resolve());
          return;
        }
        if (!stream.write(block.subarray(0, size))) return;
      }
    };
    stream.on('drain', next).once('close', () => resolve());
    next();
  });
}
