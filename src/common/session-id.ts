/** Letters, digits and `._-`, beginning with a letter or digit, at most 64: it goes into headers and logs as it is. */
const rule = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Can `given`, a caller's `Audit-ID`, be a session's id? All hops ask here, so that an id which one of them took is
 * changed by none further on.
 */
export function isSessionId(given: unknown): given is string {
  return typeof given === 'string' && rule.test(given);
}
