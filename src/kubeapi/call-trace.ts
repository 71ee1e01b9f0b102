import { channel } from 'node:diagnostics_channel';

/** One request and the head of its answer, as subscribers of the diagnostics channel `exec:kubeapi:call` get it. */
export interface ApiCallTrace {
  readonly method: string;
  /** Without credentials: those travel in headers. */
  readonly url: string;
  /** undefined when no answer came. */
  readonly httpStatus: number | undefined;
  /** The server's `Audit-Id`. */
  readonly auditId: string | undefined;
  /** ms from the request to the head of the answer */
  readonly durationMs: number;
  readonly error: Error | undefined;
}

const calls = channel('exec:kubeapi:call');

/** Publishes a call that began at `startedAt` (of `performance.now()`); costs nothing without a subscriber. */
export function publishCall(
  { method, url }: { readonly method: string; readonly url: URL },
  startedAt: number,
  outcome: { readonly httpStatus?: number | undefined; readonly auditId?: string | undefined; readonly error?: Error },
): void {
  if (!calls.hasSubscribers) return;
  const { httpStatus, auditId, error } = outcome;
  const trace: ApiCallTrace = {
    method,
    url: url.href,
    httpStatus,
    auditId,
    error,
    durationMs: performance.now() - startedAt,
  };
  calls.publish(trace);
}
