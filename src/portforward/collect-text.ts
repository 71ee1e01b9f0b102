import type { Readable } from 'node:stream';

/**
 * What `stream` says until it ends or is gone, at most `maxBytes`; the rest is read and dropped. Never rejects: how the
 * stream ended is known elsewhere.
 */
export function collectText(stream: Readable, maxBytes: number): Promise<string> {
  return new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0);
    const finish = (): void => resolve(bytes.toString());
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => {
      if (bytes.length < maxBytes) bytes = Buffer.concat([bytes, chunk.subarray(0, maxBytes - bytes.length)]);
    });
    stream.once('end', finish).once('close', finish);
  });
}
