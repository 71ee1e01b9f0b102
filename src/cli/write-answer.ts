import type { IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { ExecPathError, toError } from '../common/errors.ts';
import type { Io } from './io.ts';

/**
 * Writes an answer of the apiserver to stdout as it comes, to its end.
 *
 * @throws ExecPathError ERR_CONNECTION_LOST when it broke off
 */
export async function writeAnswer(answer: IncomingMessage, io: Io): Promise<void> {
  try {
    await pipeline(answer, io.out, { end: false });
  } catch (thrown) {
    throw await brokenAnswer(thrown);
  }
}

/** What to tell of an answer that could not be read to its end. @returns ERR_CONNECTION_LOST when it broke off */
export async function brokenAnswer(thrown: unknown): Promise<Error> {
  const cause: NodeJS.ErrnoException = toError(thrown);
  if (cause.code !== 'ECONNRESET') return cause;
  const { explainDialError } = await import('../kubeapi/index.ts');
  const message = `the answer broke off: ${explainDialError(cause)}`;
  return new ExecPathError('ERR_CONNECTION_LOST', message, { hop: 'apiserver', cause });
}
