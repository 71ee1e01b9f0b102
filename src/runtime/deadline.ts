/** The longest wait of a timer; a longer one would fire at once. About 24 days, in ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Whether `promise` settles within `ms`. The timer does not keep the program alive. */
export async function endsWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, Math.min(ms, MAX_TIMER_MS), false).unref();
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
