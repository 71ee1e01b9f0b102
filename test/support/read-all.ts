import { Buffer } from 'node:buffer';
import type { Readable } from 'node:stream';

/**
 * Collects a stream to its end and leaves it open: the other half of a Duplex can still be used.
 * `for await` and `stream/consumers` would destroy it.
 *
 * @param bound the most bytes that are kept. Default 64 MiB.
 * @throws the stream's error, or Error when it is destroyed before its end or exceeds `bound`
 */
export function readAll(stream: Readable, bound: number = 64 * 1024 * 1024): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > bound) fail(new Error(`more than ${bound} bytes arrived`));
    };
    const onEnd = (): void => {
      cleanup();
      resolve(Buffer.concat(chunks));
    };
    const onClose = (): void => fail(new Error(`the stream was destroyed after ${bytes} bytes, before its end`));
    const fail = (error: Error): void => {
      cleanup();
      stream.pause();
      reject(error);
    };
    const cleanup = (): void => {
      stream.off('data', onData).off('end', onEnd).off('error', fail).off('close', onClose);
    };
    if (stream.destroyed) {
      fail(stream.errored ?? new Error('the stream is destroyed already'));
      return;
    }
    stream.on('data', onData).on('end', onEnd).on('error', fail).on('close', onClose);
  });
}
