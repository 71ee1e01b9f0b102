/**
 * The halves of one stream.
 *
 *     open ─sentFin→ halfLocal ─gotFin→ closed · open ─gotFin→ halfRemote ─sentFin→ closed · any ─reset→ closed
 */
export type StreamState = 'open' | 'halfLocal' | 'halfRemote' | 'closed';

export type StreamEvent = 'sentFin' | 'gotFin' | 'reset';

/**
 * The state after `event`. `illegal` is an event that the rules exclude there: a second FIN. The peer's is ignored
 * (upstream ignores everything about a stream it has forgotten), our own is never made.
 */
export function nextState(state: StreamState, event: StreamEvent): StreamState | 'illegal' {
  if (event === 'reset') return 'closed';
  switch (state) {
    case 'open':
      return event === 'sentFin' ? 'halfLocal' : 'halfRemote';
    case 'halfLocal':
      return event === 'gotFin' ? 'closed' : 'illegal';
    case 'halfRemote':
      return event === 'sentFin' ? 'closed' : 'illegal';
    case 'closed':
      return 'illegal';
  }
}

/** Whether this side may still send DATA. */
export function mayWrite(state: StreamState): boolean {
  return state === 'open' || state === 'halfRemote';
}

/** Whether the peer may still send DATA. */
export function mayRead(state: StreamState): boolean {
  return state === 'open' || state === 'halfLocal';
}
