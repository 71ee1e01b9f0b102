import { ExecPathError } from '../common/errors.ts';

/**
 * `server` of a cluster. Without a scheme it is https when anything about TLS is said, else http, as in client-go.
 *
 * @param where file and entry, or the flag, for errors
 * @throws ExecPathError ERR_KUBECONFIG
 */
export function parseServerUrl(
  text: string | undefined,
  { isSecure, where }: { readonly isSecure: boolean; readonly where: string },
): URL {
  if (text === undefined) throw refuse(`${where} has no server: add one such as https://127.0.0.1:6443`);
  const url = parseUrl(text.includes('://') ? text : `${isSecure ? 'https' : 'http'}://${text}`);
  if (url === undefined) throw refuse(`${where}: server ${JSON.stringify(text)} is not a URL`);
  if (!['http:', 'https:'].includes(url.protocol) || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw refuse(`${where}: server ${JSON.stringify(text)} is not http(s)://host[:port][/path] and no more`);
  }
  return url;
}

/**
 * `proxy-url` of a cluster. Never quoted: it may hold a password.
 *
 * @throws ExecPathError ERR_KUBECONFIG
 */
export function parseProxyUrl(text: string, where: string): URL {
  const url = parseUrl(text);
  if (url === undefined || !['http:', 'https:', 'socks5:', 'socks5h:'].includes(url.protocol)) {
    throw refuse(`${where}: proxy-url is not a URL that begins with http://, https:// or socks5://`);
  }
  return url;
}

function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

function refuse(message: string): ExecPathError {
  return new ExecPathError('ERR_KUBECONFIG', message, { hop: 'client' });
}
