import type { Duplex } from 'node:stream';
import type { StreamOptions } from '../common/channels.ts';
import { ExecPathError } from '../common/errors.ts';
import { spdyOffer } from '../common/subprotocols.ts';
import { type DialedSpdy, dialSpdy, type HopLimits, proxyUpgrade } from '../httpstream/index.ts';
import { parsePorts, proxyTunnel, tunnelProtocols } from '../portforward/index.ts';
import { isUpgrade, needsTranslation, refuseInBand, translateStreams } from '../remotecommand/index.ts';
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
 * Serves exec, attach and portforward of a pod by GET and POST: finds the kubelet, then relays bytes. For a node that does
 * not declare pass-through, a v5 WebSocket is translated to SPDY here, and a port-forward tunnel is taken off the SPDY
 * inside.
 *
 * @see kubernetes pkg/registry/core/pod/rest/subresources.go
 */
export function createStreamingHandler(
  dialKubelet: DialKubelet,
  onEnd: (end: ConnectEnd) => void = () => {},
  limits: HopLimits = {},
): ConnectHandler {
  return async (connect) => {
    const location = await connect.findLocation();
    const { request, auditId } = connect;
    if (!isUpgrade(request)) throw new ExecPathError('ERR_UPGRADE_REQUIRED', 'Upgrade request required');
    if (request.headers['transfer-encoding'] !== undefined) {
      throw new ExecPathError('ERR_BAD_REQUEST', 'an upgrade request must not have a chunked body');
    }
    const path = kubeletPath(connect, location);
    const headers = { Host: location.authority, 'Audit-ID': auditId };
    const hop = { connect, location, dialKubelet, path, headers, limits };
    const passesThrough = location.nodeDeclaresWebSocketPassThrough;
    if (connect.subresource === 'portforward') {
      const isTunnel = tunnelProtocols(request).length > 0;
      onEnd(await proxied(hop, isTunnel && !passesThrough ? proxyTunnel : proxyUpgrade));
    } else if (needsTranslation(request) && !passesThrough) onEnd(await translated(hop));
    else onEnd(await proxied(hop, proxyUpgrade));
  };
}

interface KubeletHop {
  readonly connect: ConnectRequest;
  readonly location: PodLocation;
  readonly dialKubelet: DialKubelet;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly limits: HopLimits;
}

async function translated({ connect, location, dialKubelet, path, headers, limits }: KubeletHop): Promise<ConnectEnd> {
  const { request, socket, head, signal } = connect;
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
  const streams = streamOptionsOf(connect.query);
  const outcome = await translateStreams({ request, socket, head }, streams, dial, limits);
  const told = outcome?.kind === 'exited' ? `exited ${outcome.code}` : `failed: ${outcome?.message ?? 'refused'}`;
  return { connect, how: `translated, ${told}` };
}

async function proxied(hop: KubeletHop, proxy: typeof proxyUpgrade | typeof proxyTunnel): Promise<ConnectEnd> {
  const { connect, location, dialKubelet, path, headers, limits } = hop;
  const { request, socket, head, signal } = connect;
  const dropHeaders = [...spentHeaders, ...impersonationHeaders(request.headers)];
  const result = await proxy(
    { request, socket, head },
    { connect: (gone) => dialKubelet(location, gone), path, headers, dropHeaders },
    {
      refuse: (_socket, error) => void connect.refuse(error),
      // As a hop that translates has it: the words reach the user in one piece, and the client does not try again.
      tellRefusal: (error) => {
        if (connect.subresource === 'portforward' || !needsTranslation(request)) return false;
        void refuseInBand({ request, socket, head }, streamOptionsOf(connect.query), error, limits);
        return true;
      },
      limits,
      signal,
    },
  );
  if (result.kind === 'refused') return { connect, how: `refused: ${result.error.message}` };
  return { connect, how: `ended by ${result.endedBy}`, bytesUp: result.bytesUp, bytesDown: result.bytesDown };
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

/**
 * The kubelet's path with its names for the options, sorted as Go encodes them: `/exec/{ns}/{pod}/{container}?…`, attach
 * alike, `/portForward/{ns}/{pod}?port=80,81`.
 *
 * @throws ExecPathError ERR_BAD_REQUEST for one of `ports` that is none
 */
export function kubeletPath(
  { subresource, namespace, pod, query }: Pick<ConnectRequest, 'subresource' | 'namespace' | 'pod' | 'query'>,
  { container }: Pick<PodLocation, 'container'>,
): string {
  const told = new URLSearchParams();
  if (subresource === 'portforward') {
    const ports = parsePorts(query.getAll('ports').filter((value) => value !== ''));
    if (ports.length > 0) told.append('port', ports.join(','));
    return pathOf(['portForward', namespace, pod], told);
  }
  const streams = streamOptionsOf(query);
  if (subresource === 'exec') for (const argument of query.getAll('command')) told.append('command', argument);
  if (streams.stderr) told.append('error', '1');
  if (streams.stdin) told.append('input', '1');
  if (streams.stdout) told.append('output', '1');
  if (streams.tty) told.append('tty', '1');
  return pathOf([subresource, namespace, pod, container], told);
}

function pathOf(segments: readonly string[], query: URLSearchParams): string {
  const path = `/${segments.map(encodeURIComponent).join('/')}`;
  return query.size === 0 ? path : `${path}?${query.toString()}`;
}
