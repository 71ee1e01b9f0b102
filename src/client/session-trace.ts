import { channel } from 'node:diagnostics_channel';

/** What a session's client did, in the order it happened. */
export interface SessionRecord {
  readonly sessionId: string;
  /** `dial`: a transport is tried. `refused`: it was, and why. `open`: streams are there. `end`: the outcome. */
  readonly event: 'dial' | 'refused' | 'open' | 'end';
  readonly detail: string;
}

/** Name of the diagnostics channel that is told of each {@link SessionRecord}. */
export const SESSION_CHANNEL = 'podwire:client:session';

const sessions = channel(SESSION_CHANNEL);

/** Tells whoever listens; `detail` is asked for only then. */
export function traceSession(sessionId: string, event: SessionRecord['event'], detail: () => string): void {
  if (sessions.hasSubscribers) sessions.publish({ sessionId, event, detail: detail() } satisfies SessionRecord);
}
