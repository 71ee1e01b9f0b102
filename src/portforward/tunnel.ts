import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { ExecPathError } from '../common/errors.ts';
import { splitNames, subprotocols } from '../common/subprotocols.ts';
import {
  acceptByteStream,
  isWebSocketUpgrade,
  offeredProtocols,
  proxyUpgrade,
  type UpgradeAnswer,
  type UpgradeProxyOptions,
  type UpgradeProxyResult,
  type UpgradeTarget,
} from '../httpstream/index.ts';

const PREFIX = 'SPDY/3.1+';
const SUFFIX = '.k8s.io';

/** The protocols that a client offers to speak over SPDY inside a WebSocket, without the prefix; empty for no tunnel. */
export function tunnelProtocols(request: IncomingMessage): string[] {
  if (!isWebSocketUpgrade(request)) return [];
  return offeredProtocols(request)
    .filter((name) => name.startsWith(PREFIX) && name.endsWith(SUFFIX))
    .map((name) => name.slice(PREFIX.length));
}

/** What a tunnel's WebSocket must not tell a server that is asked for SPDY. */
const webSocketHeaders = [
  'upgrade',
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
  'x-stream-protocol-version',
] as const;

/**
 * Serves a tunnel by a next hop that knows SPDY alone: asks it first, and only its 101 opens the WebSocket; so a refusal
 * stays an HTTP answer and the client can fall back. Then the WebSocket's payload is relayed, decoded no further.
 *
 * Owns: both sockets. Never rejects.
 *
 * @see wire.md 4.3
 */
export function proxyTunnel(
  upgrade: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
  target: UpgradeTarget,
  options: Omit<UpgradeProxyOptions, 'accept'>,
): Promise<UpgradeProxyResult> {
  const { request, socket, head } = upgrade;
  const offered = tunnelProtocols(request);
  const protocol = offered.find((name) => name === subprotocols.portForward) ?? offered[0] ?? subprotocols.portForward;
  return proxyUpgrade(
    upgrade,
    {
      ...target,
      method: 'POST',
      dropHeaders: [...(target.dropHeaders ?? []), ...webSocketHeaders],
      headers: { ...target.headers, Upgrade: 'SPDY/3.1', 'X-Stream-Protocol-Version': protocol },
    },
    {
      ...options,
      accept: (answer) => {
        const selected = PREFIX + spdyProtocolOf(answer, offered);
        const stream = acceptByteStream(request, socket, head, { protocol: selected });
        return stream && { socket: stream, head: new Uint8Array(0) };
      },
    },
  );
}

/** @throws ExecPathError for a 101 to anything but SPDY with an offered protocol: the client is told 500 */
function spdyProtocolOf({ headers }: UpgradeAnswer, offered: readonly string[]): string {
  const valueOf = (wanted: string): string =>
    splitNames(headers.flatMap(([name, value]) => (name.toLowerCase() === wanted ? [value] : [])))[0] ?? '';
  if (valueOf('upgrade').toLowerCase() !== 'spdy/3.1') {
    const message = `the next hop switched to ${JSON.stringify(valueOf('upgrade'))}, asked was SPDY/3.1`;
    throw new ExecPathError('ERR_UPGRADE_REFUSED', message);
  }
  const protocol = valueOf('x-stream-protocol-version');
  if (offered.includes(protocol)) return protocol;
  const message = `the next hop chose the stream protocol ${JSON.stringify(protocol)}, offered was ${offered.join(', ')}`;
  throw new ExecPathError('ERR_NO_COMMON_PROTOCOL', message);
}
