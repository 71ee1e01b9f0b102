/** The host of a URL without the brackets of an IPv6 address. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

/** The port of a URL, or what its scheme implies. */
export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  const defaults: Readonly<Record<string, number>> = { 'https:': 443, 'wss:': 443, 'socks5:': 1080, 'socks5h:': 1080 };
  return defaults[url.protocol] ?? 80;
}

/** `host:port` as it stands in messages and in CONNECT, IPv6 in brackets. */
export function hostPort(url: URL): string {
  return `${url.hostname}:${portOf(url)}`;
}
