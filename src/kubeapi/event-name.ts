const NANOSECONDS = 1_000_000n;

let last = 0n;

/**
 * A new name for an event about an object: the object's and the time in nanoseconds, as client-go has it. So lists, which
 * are ordered by name, show the events of an object in the order in which they happened.
 *
 * Never the same twice in one process.
 */
export function eventName(object: string): string {
  // Wall clocks have milliseconds here. What lies below keeps two processes apart that write in the same one.
  const now = BigInt(Date.now()) * NANOSECONDS + (process.hrtime.bigint() % NANOSECONDS);
  last = now > last ? now : last + 1n;
  return `${object}.${last.toString(16)}`;
}
