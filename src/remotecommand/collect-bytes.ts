import type { Readable } from 'node:stream';

/**
 * All bytes that `stream` gives until it ends, fails or is closed, at most `maxBytes`; what is beyond is read and
 * dropped. Never rejects: what came before a failure counts, and the connection tells why it failed.
 */
export function collectBytes(stream: Readable, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const finish = (): void => resolve(Buffer.concat(chunks));
    stream.on('data', (chunk: Buffer) => {
      const kept = chunk.subarray(0, maxBytes - length);
      length += kept.length;
      if (kept.length > 0) chunks.push(Buffer.from(kept));
    });
    stream.once('end', finish).once('close', finish).once('error', finish);
  });
}
