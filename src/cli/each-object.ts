import { failureText } from './failure-text.ts';
import type { Io } from './io.ts';

/**
 * Does something with each object in turn. One that the apiserver refuses is told, and the others have their turn; any
 * other failure, such as a lost connection, ends it.
 *
 * @returns the exit code: 1 when one was refused
 */
export async function eachObject<T>(objects: readonly T[], io: Io, act: (object: T) => Promise<void>): Promise<number> {
  const { ApiStatusError } = await import('../kubeapi/index.ts');
  let code = 0;
  for (const object of objects) {
    try {
      await act(object);
    } catch (thrown) {
      if (!(thrown instanceof ApiStatusError)) throw thrown;
      io.err.write(failureText(thrown));
      code = 1;
    }
  }
  return code;
}
