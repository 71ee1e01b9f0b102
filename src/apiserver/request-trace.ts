import { channel } from 'node:diagnostics_channel';
import type { IncomingMessage } from 'node:http';
import { auditIdOf } from './audit-id.ts';

/** One request that has been answered. */
export interface RequestRecord {
  readonly auditId: string;
  readonly method: string;
  readonly uri: string;
  /** Undefined when it was not found out. */
  readonly user: string | undefined;
  /** 101 for a session, which is recorded when it ends. */
  readonly status: number;
  readonly durationMs: number;
}

/** Name of the diagnostics channel that is told of each {@link RequestRecord}. */
export const REQUEST_CHANNEL = 'podwire:apiserver:request';

const requests = channel(REQUEST_CHANNEL);

/** What becomes known of a request while it is served. */
export class RequestTrace {
  readonly auditId: string;
  user: string | undefined;
  readonly #request: IncomingMessage;
  readonly #began = performance.now();

  constructor(request: IncomingMessage) {
    this.#request = request;
    this.auditId = auditIdOf(request);
  }

  /** Tells whoever listens. */
  end(status: number): void {
    if (!requests.hasSubscribers) return;
    const { method = '', url: uri = '' } = this.#request;
    const durationMs = performance.now() - this.#began;
    requests.publish({
      auditId: this.auditId,
      method,
      uri,
      user: this.user,
      status,
      durationMs,
    } satisfies RequestRecord);
  }
}
