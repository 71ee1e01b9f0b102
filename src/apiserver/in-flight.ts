import { ApiError } from './api-error.ts';

/** How many requests may be under way at once, watches and sessions not counted: upstream's `--max-requests-inflight`. */
export const MAX_REQUESTS_IN_FLIGHT = 400;

/** Seconds after which a client that was turned away may come again. */
const RETRY_AFTER_SECONDS = 1;

/** Counts the requests that are under way, so that what they hold is bounded. */
export class InFlight {
  readonly #limit: number;
  #count = 0;

  constructor(limit = MAX_REQUESTS_IN_FLIGHT) {
    this.#limit = limit;
  }

  /**
   * @returns ends it; call it once
   * @throws ApiError ERR_TOO_MANY_REQUESTS
   */
  enter(): () => void {
    if (this.#count >= this.#limit) {
      throw new ApiError(
        'ERR_TOO_MANY_REQUESTS',
        `too many requests: ${this.#limit} are under way, which is the limit; please try again later`,
        { retryAfterSeconds: RETRY_AFTER_SECONDS },
      );
    }
    this.#count += 1;
    return () => {
      this.#count -= 1;
    };
  }
}
