import type { LocalInput } from './io.ts';

/** Bytes of an answer; whoever says more has said no word. */
const MAX_ANSWER_BYTES = 1024;

/**
 * Reads the next word of a local input.
 *
 * @returns '' when the input ends without one
 * @throws what the signal was aborted with
 */
export async function readWord(input: LocalInput, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  if (input.readableEnded || input.destroyed) return '';
  let text = '';
  try {
    return await new Promise<string>((resolve, reject) => {
      const stop = (): void => {
        input.off('data', onData).off('end', onEnd).off('error', onEnd);
        signal.removeEventListener('abort', onAbort);
      };
      const finish = (word: string): void => {
        stop();
        resolve(word);
      };
      const onData = (chunk: Buffer | string): void => {
        text += chunk.toString();
        const word = /^\s*(\S+)\s/.exec(text)?.[1];
        if (word !== undefined || text.length > MAX_ANSWER_BYTES) finish(word ?? '');
      };
      const onEnd = (): void => finish(text.trim());
      const onAbort = (): void => {
        stop();
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      input.on('data', onData).once('end', onEnd).once('error', onEnd);
    });
  } finally {
    input.pause();
    input.unref?.();
  }
}
