/**
 * Does something with each object in turn. One that the apiserver refuses does not keep the others from their turn; any
 * other failure, such as a lost connection, ends it.
 *
 * @returns what was refused, to be told when all is done
 */
export async function eachObject<T>(
  objects: readonly T[],
  act: (object: T) => Promise<void>,
): Promise<readonly unknown[]> {
  const { ApiStatusError } = await import('../kubeapi/index.ts');
  const refusals: unknown[] = [];
  for (const object of objects) {
    try {
      await act(object);
    } catch (thrown) {
      if (!(thrown instanceof ApiStatusError)) throw thrown;
      refusals.push(thrown);
    }
  }
  return refusals;
}

/** Runs a call for an object of a manifest; a refusal says, as kubectl's, what was being done and by which file. */
export async function namingSource<T>(doing: string, source: string | undefined, call: Promise<T>): Promise<T> {
  const { ApiStatusError } = await import('../kubeapi/index.ts');
  return call.catch((thrown: unknown) => {
    if (source === undefined || !(thrown instanceof ApiStatusError)) throw thrown;
    const message = `error when ${doing} ${JSON.stringify(source)}: ${thrown.message}`;
    throw new ApiStatusError({ ...thrown.status, message }, thrown.httpStatus, {
      cause: thrown,
      ...(thrown.hop === undefined ? {} : { hop: thrown.hop }),
    });
  });
}
