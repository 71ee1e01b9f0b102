import { BlockList, isIP } from 'node:net';
import { ExecPathError, toError } from '../common/errors.ts';
import { isLoopback } from '../common/loopback.ts';
import { hostOf, portOf } from './host-port.ts';

/**
 * The proxy to go through to `target`, or undefined for none.
 *
 * `configured` (the kubeconfig's proxy-url) always applies. Else `HTTPS_PROXY` or `HTTP_PROXY` by the scheme, unless
 * `NO_PROXY` names the target or it is on loopback.
 *
 * @throws ExecPathError ERR_DIAL when the variable holds no proxy URL
 * @see golang.org/x/net/http/httpproxy
 */
export function proxyFor(target: URL, configured: URL | undefined, env: NodeJS.ProcessEnv): URL | undefined {
  if (configured !== undefined) return configured;
  const name = isSecure(target) ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const text = env[name] || env[name.toLowerCase()];
  if (!text || isLoopback(hostOf(target))) return undefined;
  if (isExempt(target, env['NO_PROXY'] || env['no_proxy'] || '')) return undefined;
  try {
    const url = new URL(text.includes('://') ? text : `http://${text}`);
    if (!/^(https?|socks5h?):$/.test(url.protocol)) throw new Error(`${url.protocol} is not http, https or socks5`);
    return url;
  } catch (cause) {
    throw new ExecPathError('ERR_DIAL', `${name} is not a proxy URL: ${toError(cause).message}`, {
      cause,
      hop: 'client',
    });
  }
}

/** https or wss. */
export function isSecure(url: URL): boolean {
  return url.protocol === 'https:' || url.protocol === 'wss:';
}

/** `*`, `host[:port]` with its subdomains, `.domain` for subdomains alone, IP addresses and CIDR ranges. */
function isExempt(target: URL, noProxy: string): boolean {
  const host = hostOf(target).toLowerCase().replace(/\.$/, '');
  const port = String(portOf(target));
  return noProxy
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '')
    .some((entry) => entry === '*' || matches(entry, host, port));
}

function matches(entry: string, host: string, port: string): boolean {
  if (entry.includes('/')) return isInRange(host, entry);
  const [, bracketed, plain, wanted] = /^(?:\[([^\]]+)\]|([^:]*|.*:.*:.*?))(?::(\d+))?$/.exec(entry) ?? [];
  const name = isIP(entry) > 0 ? entry : (bracketed ?? plain ?? entry);
  if (wanted !== undefined && isIP(entry) === 0 && wanted !== port) return false;
  if (isIP(name) > 0) return name === host;
  if (isIP(host) > 0) return false;
  const domain = name.replace(/^\*?\./, '');
  return host.endsWith(`.${domain}`) || (domain === name && host === domain);
}

function isInRange(host: string, range: string): boolean {
  const [network = '', bits = ''] = range.split('/');
  const family = isIP(network);
  if (family === 0 || isIP(host) !== family || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 4 ? 32 : 128))
    return false;
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(network, Number(bits), type);
  return list.check(host, type);
}
