/** Names of the stream protocols, as they stand in `X-Stream-Protocol-Version` and `Sec-WebSocket-Protocol`. */
export const subprotocols = {
  v1: 'channel.k8s.io',
  v1Base64: 'base64.channel.k8s.io',
  v2: 'v2.channel.k8s.io',
  v3: 'v3.channel.k8s.io',
  v4: 'v4.channel.k8s.io',
  v4Base64: 'v4.base64.channel.k8s.io',
  v5: 'v5.channel.k8s.io',
  portForward: 'portforward.k8s.io',
  portForwardTunnel: 'SPDY/3.1+portforward.k8s.io',
} as const;

/** What a client offers over SPDY for exec and attach, most preferred first. */
export const spdyOffer: readonly string[] = [
  subprotocols.v5,
  subprotocols.v4,
  subprotocols.v3,
  subprotocols.v2,
  subprotocols.v1,
];

/** What a server accepts over SPDY for exec and attach. v5 is a WebSocket protocol only. */
export const spdyAccept: readonly string[] = [subprotocols.v4, subprotocols.v3, subprotocols.v2, subprotocols.v1];

/** What a server accepts over WebSocket for exec and attach. `''` is a client that offers none. */
export const webSocketAccept: readonly string[] = [
  subprotocols.v5,
  subprotocols.v4,
  subprotocols.v4Base64,
  subprotocols.v1,
  subprotocols.v1Base64,
  '',
];

/** What a subprotocol can do; the same for SPDY and WebSocket except where a comment says so. */
export interface SubprotocolTraits {
  /** The error stream carries one JSON Status at every end (v4, v5), not plain text on failure only. */
  readonly status: boolean;
  /** There is a resize stream. Over WebSocket every version has the channel. */
  readonly resize: boolean;
  /** WebSocket: stdin can be half-closed by `[255, 0]`. Over SPDY a FIN does it in every version. */
  readonly closeChannel: boolean;
  /** WebSocket: text messages, channel as a digit, payload in base64. */
  readonly base64: boolean;
}

/** Traits of a negotiated name; unknown names and `''` behave as v1. */
export function traitsOf(name: string, transport: 'spdy' | 'websocket'): SubprotocolTraits {
  const v4OrLater = name === subprotocols.v4 || name === subprotocols.v4Base64 || name === subprotocols.v5;
  return {
    status: v4OrLater,
    resize: transport === 'websocket' || v4OrLater || name === subprotocols.v3,
    closeChannel: transport === 'websocket' && name === subprotocols.v5,
    base64: name === subprotocols.v1Base64 || name === subprotocols.v4Base64,
  };
}

/** The client's first name that the server knows too, or undefined. */
export function negotiate(offered: readonly string[], accepted: readonly string[]): string | undefined {
  return offered.find((name) => accepted.includes(name));
}

/** Splits header lines of comma lists into trimmed names, empty ones left out. */
export function splitNames(lines: readonly string[]): string[] {
  return lines
    .flatMap((line) => line.split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
