/** Who to act as; every field needs `user`. */
export interface Impersonation {
  readonly user?: string | undefined;
  readonly uid?: string | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly extra?: Readonly<Record<string, readonly string[]>> | undefined;
}

/**
 * The `Impersonate-*` headers; a group or an extra with several values is several header lines.
 *
 * @see client-go transport/round_trippers.go (keys of extras are lower-cased and percent-encoded)
 */
export function impersonationHeaders(who: Impersonation): Record<string, string | string[]> {
  if (who.user === undefined) return {};
  const headers: Record<string, string | string[]> = { 'Impersonate-User': who.user };
  if (who.uid !== undefined) headers['Impersonate-Uid'] = who.uid;
  if (who.groups !== undefined && who.groups.length > 0) headers['Impersonate-Group'] = [...who.groups];
  for (const [key, values] of Object.entries(who.extra ?? {})) {
    headers[`Impersonate-Extra-${escapeHeaderName(key)}`] = [...values];
  }
  return headers;
}

/** Lower-cased; every byte that may not stand in a header name, and `%` itself, becomes `%XX`. */
function escapeHeaderName(key: string): string {
  const bytes = [...Buffer.from(key.toLowerCase(), 'utf8')];
  return bytes
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[a-z0-9!#$&'*+.^_`|~-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}
