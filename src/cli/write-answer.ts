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
    const cause: NodeJS.ErrnoException = toError(thrown);
    if (cause.code !== 'ECONNRESET') throw cause;
    const { explainDialError } = await import('../kubeapi/index.ts');
    const message = `the answer broke off: ${explainDialError(cause)}`;
    throw new ExecPathError('ERR_CONNECTION_LOST', message, { hop: 'apiserver', cause });
  }
}
