import { tellFailures } from './failure-text.ts';
import type { Io } from './io.ts';

interface Telling {
  readonly io: Pick<Io, 'err'>;
  /** Those that there were before. */
  readonly failures: readonly unknown[];
}

/**
 * Does something with each object in turn. One that the apiserver refuses does not keep the others from their turn, and is
 * told at the end; any other failure, such as a lost connection, is that end.
 *
 * @returns the exit code: 1 when anything failed
 */
export async function eachObject<T>(
  objects: readonly T[],
  { io, failures: before }: Telling,
  act: (object: T) => Promise<void>,
): Promise<number> {
  const { ApiStatusError } = await import('../kubeapi/index.ts');
  const failures = [...before];
  for (const object of objects) {
    try {
      await act(object);
    } catch (thrown) {
      if (!(thrown instanceof ApiStatusError)) {
        tellFailures(failures, io);
        throw thrown;
      }
      failures.push(thrown);
    }
  }
  return tellFailures(failures, io);
}

/** Runs a call for an object of a manifest; a refusal says, as kubectl's, what was being done and by which file. */
export async function namingSource<T>(doing: string, source: string | undefined, call: Promise<T>): Promise<T> {
  const { ApiStatusError } = await import('../kubeapi/index.ts');
  return call.catch((thrown: unknown) => {
    if (source === undefined || !(thrown instanceof ApiStatusError)) throw thrown;
    throw thrown.saying(`error when ${doing} ${JSON.stringify(source)}: ${thrown.message}`);
  });
}
