import { isIPv6 } from 'node:net';
import { ExecPathError } from '../common/errors.ts';

/** Where a CRI server listens. */
export type CriEndpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** Linux keeps a socket's path in 108 bytes with the closing NUL; a longer one would be cut without a word. */
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * Reads `unix:///path`, `unix:/path`, `/path`, `tcp://host:port` or `host:port`; IPv6 hosts stand in brackets.
 *
 * @throws ExecPathError ERR_CRI_ENDPOINT
 */
export function parseCriEndpoint(text: string): CriEndpoint {
  const unix = /^(?:unix:\/\/|unix:)?(\/(?!\/).+)$/s.exec(text);
  if (unix) return unixEndpoint(unix[1] ?? '', text);
  const tcp = /^(?:tcp:\/\/)?(\[[^\]/]+\]|[^[\]:/\s]+):(\d{1,5})$/.exec(text);
  if (!tcp) {
    throw bad(text, 'is neither unix:///path, an absolute path, tcp://host:port nor host:port');
  }
  const [, bracketed = '', digits = ''] = tcp;
  const host = bracketed.replace(/^\[|\]$/g, '');
  const port = Number(digits);
  if (bracketed.startsWith('[') && !isIPv6(host))
    throw bad(text, 'has something else than an IPv6 address in brackets');
  if (port > 65_535) throw bad(text, 'has a port above 65535');
  return { kind: 'tcp', host, port };
}

function unixEndpoint(path: string, text: string): CriEndpoint {
  if (/\p{Cc}/u.test(path)) throw bad(text, 'has a control character in its path');
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw bad(text, `has a path of ${Buffer.byteLength(path)} bytes, a unix socket takes ${MAX_SOCKET_PATH_BYTES}`);
  }
  return { kind: 'unix', path };
}

/** The text that {@link parseCriEndpoint} reads back: `unix:///path` or `tcp://host:port`. */
export function formatCriEndpoint(endpoint: CriEndpoint): string {
  return endpoint.kind === 'unix' ? `unix://${endpoint.path}` : `tcp://${hostPort(endpoint.host, endpoint.port)}`;
}

/** The name that the gRPC library takes for `endpoint`, to dial and to bind. */
export function grpcTargetOf(endpoint: CriEndpoint): string {
  return endpoint.kind === 'unix' ? `unix:${endpoint.path}` : `dns:${hostPort(endpoint.host, endpoint.port)}`;
}

function hostPort(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

function bad(text: string, rule: string): ExecPathError {
  return new ExecPathError('ERR_CRI_ENDPOINT', `the CRI endpoint ${JSON.stringify(text)} ${rule}`);
}
