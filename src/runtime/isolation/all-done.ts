/**
 * Waits until all have ended, also when one fails: nobody clears up what another is still making.
 *
 * @throws what the first of `works` that failed has thrown
 */
export async function allDone(works: readonly Promise<unknown>[]): Promise<void> {
  for (const end of await Promise.allSettled(works)) if (end.status === 'rejected') throw end.reason;
}
