import type { Duplex } from 'node:stream';
import type { StreamOptions } from '../common/channels.ts';
import { ExecPathError } from '../common/errors.ts';
import { spdyOffer } from '../common/subprotocols.ts';
import { type DialedSpdy, dialSpdy, type HopLimits, proxyUpgrade } from '../httpstream/index.ts';
import { isUpgrade, needsTranslation, translateStreams } from '../remotecommand/index.ts';
import type { ConnectHandler, ConnectRequest } from './connect-request.ts';
import type { PodLocation } from './pod-location.ts';

/** Dials a kubelet with this apiserver's client certificate: TLS with ALPN http/1.1. */
export type DialKubelet = (location: PodLocation, signal: AbortSignal) => Promise<Duplex>;

/** Told when a session ends; the client was told already. */
export interface ConnectEnd {
  readonly connect: ConnectRequest;
  readonly how: string;
  readonly bytesUp?: number;
  readonly bytesDown?: number;
}

/** What this hop has checked and used up: the user's credentials, and the page that a browser shows. */
const spentHeaders = [
  'origin',
  'authorization',
  'cookie',
  'x-remote-user',
  'x-remote-group',
  'x-remote-uid',
  'impersonate-user',
];

/**
 * Serves `pods/NAME/exec` by GET and POST: finds the kubelet, then relays bytes. Only a v5 WebSocket for a node that
 * does not declare pass-through is translated to SPDY here.
 *
 * @see kubernetes pkg/registry/core/pod/rest/subresources.go
 */
export function createExecHandler(
  dialKubelet: DialKubelet,
  onEnd: (end: ConnectEnd) => void = () => {},
  limits: HopLimits = {},
): ConnectHandler {
  return async (connect) => {
    const location = await connect.findLocation();
    const { request, socket, head, signal, auditId } = connect;
    if (!isUpgrade(request)) throw new ExecPathError('ERR_UPGRADE_REQUIRED', 'Upgrade request required');
    if (request.headers['transfer-encoding'] !== undefined) {
      throw new ExecPathError('ERR_BAD_REQUEST', 'an upgrade request must not have a chunked body');
    }
    const streams = streamOptionsOf(connect.query);
    const path = kubeletPath(connect, location, streams);
    const headers = { Host: location.authority, 'Audit-ID': auditId };
    const upgrade = { request, socket, head };
    if (needsTranslation(request) && !location.nodeDeclaresWebSocketPassThrough) {
      const dial = async (gone: AbortSignal): Promise<DialedSpdy> => {
        const upstream = await dialKubelet(location, AbortSignal.any([gone, signal]));
        return await dialSpdy(upstream, {
          path,
          headers: Object.entries(headers),
          protocols: spdyOffer,
          ...(limits.upgradeTimeoutMs === undefined ? {} : { timeoutMs: limits.upgradeTimeoutMs }),
          session: limits,
          signal: gone,
        });
      };
      const outcome = await translateStreams(upgrade, streams, dial, limits);
      const told = outcome?.kind === 'exited' ? `exited ${outcome.code}` : `failed: ${outcome?.message ?? 'refused'}`;
      onEnd({ connect, how: `translated, ${told}` });
      return;
    }
    const dropHeaders = [...spentHeaders, ...impersonationHeaders(request.headers)];
    const result = await proxyUpgrade(
      upgrade,
      { connect: (gone) => dialKubelet(location, gone), path, headers, dropHeaders },
      { refuse: (_socket, error) => void connect.refuse(error), limits, signal },
    );
    if (result.kind === 'refused') onEnd({ connect, how: `refused: ${result.error.message}` });
    else onEnd({ connect, how: `ended by ${result.endedBy}`, ...result });
  };
}

function impersonationHeaders(headers: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(headers).filter((name) => name.startsWith('impersonate-') || name.startsWith('x-remote-extra-'));
}

/**
 * The options of `PodExecOptions`: absent, `0` and `false` in any case are false, anything else is true, empty too.
 */
export function streamOptionsOf(query: URLSearchParams): StreamOptions {
  const isTrue = (name: string): boolean => {
    const value = query.get(name);
    return value !== null && value !== '0' && value.toLowerCase() !== 'false';
  };
  return { stdin: isTrue('stdin'), stdout: isTrue('stdout'), stderr: isTrue('stderr'), tty: isTrue('tty') };
}

/** `/exec/{ns}/{pod}/{container}` with the kubelet's names for the options, sorted as Go encodes them. */
function kubeletPath(connect: ConnectRequest, location: PodLocation, streams: StreamOptions): string {
  const query = new URLSearchParams();
  for (const argument of connect.query.getAll('command')) query.append('command', argument);
  if (streams.stderr) query.append('error', '1');
  if (streams.stdin) query.append('input', '1');
  if (streams.stdout) query.append('output', '1');
  if (streams.tty) query.append('tty', '1');
  const segments = [connect.subresource, connect.namespace, connect.pod, location.container].map(encodeURIComponent);
  return `/${segments.join('/')}?${query.toString()}`;
}
