import { randomBytes } from 'node:crypto';
import { grpcCodes, RuntimeCallError } from '../cri/index.ts';

/** 6 random bytes are 8 characters of URL-safe base64. */
const TOKEN_BYTES = 6;

export interface StreamingTokenOptions {
  /** How long a token is good for, in ms; one minute by default. */
  readonly lifetimeMs?: number;
  /** Tokens that may wait at once; 1000 by default. */
  readonly maxOutstanding?: number;
  /** A clock in ms that never goes back. */
  readonly now?: () => number;
}

interface Entry<Requests> {
  readonly kind: keyof Requests;
  readonly request: Requests[keyof Requests];
  readonly expiresAt: number;
}

/**
 * Requests for streams that wait for their HTTP request. A token is the only right needed to take one up, so it is
 * random, good for one use, one minute and one kind of request.
 *
 * @typeParam Requests the kinds (`exec`, `attach`, …), each with what its token stands for
 * @see cri.md 4.5
 */
export class StreamingTokens<Requests extends object> {
  /** In the order of their issue, so the first to expire is the first here. */
  readonly #entries = new Map<string, Entry<Requests>>();
  readonly #lifetimeMs: number;
  readonly #maxOutstanding: number;
  readonly #now: () => number;

  constructor(options: StreamingTokenOptions = {}) {
    this.#lifetimeMs = options.lifetimeMs ?? 60_000;
    this.#maxOutstanding = options.maxOutstanding ?? 1000;
    this.#now = options.now ?? (() => performance.now());
  }

  /** @throws RuntimeCallError ResourceExhausted when too many tokens wait */
  issue<Kind extends keyof Requests>(kind: Kind, request: Requests[Kind]): string {
    this.#dropExpired();
    if (this.#entries.size >= this.#maxOutstanding) {
      throw new RuntimeCallError(grpcCodes.ResourceExhausted, 'maximum number of in-flight requests exceeded');
    }
    let token = newToken();
    while (this.#entries.has(token)) token = newToken();
    this.#entries.set(token, { kind, request, expiresAt: this.#now() + this.#lifetimeMs });
    return token;
  }

  /** Uses a token up. @returns undefined when it is unknown, used, expired or of another kind */
  take<Kind extends keyof Requests>(kind: Kind, token: string): Requests[Kind] | undefined {
    this.#dropExpired();
    const entry = this.#entries.get(token);
    if (entry === undefined || entry.kind !== kind) return undefined;
    this.#entries.delete(token);
    return entry.request as Requests[Kind];
  }

  /** No token is good any more. */
  clear(): void {
    this.#entries.clear();
  }

  #dropExpired(): void {
    const now = this.#now();
    for (const [token, entry] of this.#entries) {
      if (entry.expiresAt > now) return;
      this.#entries.delete(token);
    }
  }
}

function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}
