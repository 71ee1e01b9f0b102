import type { IncomingMessage, ServerResponse } from 'node:http';
import type { User } from '../identity/index.ts';
import type { RequestInfo } from './request-info.ts';

/** One request that has passed authentication and authorization, and its answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly info: RequestInfo;
  readonly query: URLSearchParams;
  readonly user: User;
  readonly auditId: string;
  /** Aborts when the client is gone; for a watch also when the server begins to close. */
  readonly signal: AbortSignal;
}
