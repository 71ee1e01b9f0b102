import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { UpgradeError } from '../../common/errors.ts';
import { negotiate, splitNames } from '../../common/subprotocols.ts';
import { headerValues, type RawHeaders } from '../http-answer.ts';
import { lingerAndDestroy } from '../linger.ts';
import { answerUpgrade, refuseUpgrade, requestUpgrade, type UpgradeAnswer, type UpgradeOptions } from '../upgrade.ts';
import { type ByteStreamOptions, WebSocketByteStream } from './byte-stream.ts';
import { ChannelSession, type ChannelSessionOptions } from './session.ts';

/** RFC 6455, section 1.3: what a server appends to the key to show that it understood. */
const HANDSHAKE_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** The value of `Sec-WebSocket-Accept` for a key. */
export function acceptValue(key: string): string {
  return createHash('sha1')
    .update(key + HANDSHAKE_GUID)
    .digest('base64');
}

export interface OpenOptions extends UpgradeOptions {
  /** Path and query, percent-encoded. */
  readonly path: string;
  /** The value of `Host`. */
  readonly host: string;
  /** Offered subprotocols, most preferred first; empty for none. */
  readonly protocols: readonly string[];
  /** Further header lines, such as `Authorization`. */
  readonly headers?: RawHeaders;
}

export interface OpenChannelsOptions
  extends OpenOptions,
    Omit<ChannelSessionOptions, 'role' | 'protocol' | 'head' | 'readable' | 'writable'> {
  /** Default 1, 2, 3: stdout, stderr, error. */
  readonly readable?: readonly number[];
  /** Default 0, 4: stdin, resize. */
  readonly writable?: readonly number[];
}

/**
 * Opens a WebSocket with channels on a connected socket, as a client.
 *
 * Takes over the socket; on failure it is destroyed.
 *
 * @throws UpgradeError ERR_UPGRADE_REFUSED no 101, or a 101 that is not this handshake's: `httpStatus`, up to 64 KiB body
 * @throws UpgradeError ERR_NO_COMMON_PROTOCOL a 101 that selects none of `protocols`
 * @throws UpgradeError ERR_DIAL_TIMEOUT, ERR_CONNECTION_LOST with `httpStatus` 0; ExecPathError ERR_ABORTED
 */
export async function openChannels(socket: Duplex, options: OpenChannelsOptions): Promise<ChannelSession> {
  const { protocol, head } = await open(socket, options);
  return new ChannelSession(socket, {
    readable: [1, 2, 3],
    writable: [0, 4],
    ...options,
    role: 'client',
    protocol,
    head,
  });
}

/** Opens a WebSocket as a pipe of bytes; as {@link openChannels} otherwise. */
export async function openByteStream(
  socket: Duplex,
  options: OpenOptions & Omit<ByteStreamOptions, 'role' | 'protocol' | 'head'>,
): Promise<WebSocketByteStream> {
  const { protocol, head } = await open(socket, options);
  return new WebSocketByteStream(socket, { ...options, role: 'client', protocol, head });
}

async function open(socket: Duplex, options: OpenOptions): Promise<{ protocol: string; head: Buffer }> {
  const key = randomBytes(16).toString('base64');
  const headers: RawHeaders = [
    ['Host', options.host],
    ['Upgrade', 'websocket'],
    ['Connection', 'Upgrade'],
    ['Sec-WebSocket-Key', key],
    ['Sec-WebSocket-Version', '13'],
    ...(options.protocols.length === 0 ? [] : ([['Sec-WebSocket-Protocol', options.protocols.join(', ')]] as const)),
    ...(options.headers ?? []),
  ];
  const answer = await requestUpgrade(socket, { method: 'GET', path: options.path, headers }, options);
  try {
    return { protocol: selectedProtocol(answer, key, options.protocols), head: answer.head };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function selectedProtocol(answer: UpgradeAnswer, key: string, offered: readonly string[]): string {
  const value = (name: string): string => headerValues(answer.headers, name).join(', ');
  const refused = (code: 'ERR_UPGRADE_REFUSED' | 'ERR_NO_COMMON_PROTOCOL', message: string): UpgradeError =>
    new UpgradeError(code, message, { httpStatus: 101, body: '', headers: answer.headers });
  const wrong = (name: string): UpgradeError =>
    refused('ERR_UPGRADE_REFUSED', `the answer to a WebSocket upgrade has ${name}: ${JSON.stringify(value(name))}`);
  if (value('upgrade').toLowerCase() !== 'websocket') throw wrong('Upgrade');
  if (!splitNames([value('connection').toLowerCase()]).includes('upgrade')) throw wrong('Connection');
  if (value('sec-websocket-accept') !== acceptValue(key)) throw wrong('Sec-WebSocket-Accept');
  if (value('sec-websocket-extensions') !== '') throw wrong('Sec-WebSocket-Extensions');
  const protocol = value('sec-websocket-protocol');
  if (offered.length === 0 ? protocol === '' : offered.includes(protocol)) return protocol;
  const wanted = offered.length === 0 ? 'none' : offered.join(', ');
  throw refused(
    'ERR_NO_COMMON_PROTOCOL',
    `the server selected the subprotocol ${JSON.stringify(protocol)}, offered was ${wanted}`,
  );
}

/** Whether a request asks for a WebSocket: the test by which upgrades are routed (wire.md 3.2). */
export function isWebSocketUpgrade(request: IncomingMessage): boolean {
  const { upgrade = '', connection = '' } = request.headers;
  return upgrade.toLowerCase() === 'websocket' && connection.toLowerCase().includes('upgrade');
}

export interface AcceptChannelsOptions extends Omit<ChannelSessionOptions, 'role' | 'protocol' | 'head'> {
  /** Accepted subprotocols, '' for a client that offers none; the client's order decides. */
  readonly protocols: readonly string[];
  /**
   * Whether an empty message on the lowest writable channel tells the client that it is connected. Default true, as on
   * exec and attach; port-forward has messages of its own there.
   */
  readonly greet?: boolean;
}

/**
 * Answers a WebSocket upgrade and serves channels on it. Takes over the socket from the server's 'upgrade' event.
 *
 * @returns undefined when the upgrade was refused; the refusal is written and the socket closed (wire.md 3.2)
 */
export function acceptChannels(
  request: IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
  options: AcceptChannelsOptions,
): ChannelSession | undefined {
  if (refuseBadHandshake(request, socket)) return undefined;
  const offered = offeredProtocols(request);
  const protocol = negotiate(offered.length === 0 ? [''] : offered, options.protocols);
  if (protocol === undefined) {
    refuseProtocol(socket);
    return undefined;
  }
  answer(request, socket, protocol);
  const session = new ChannelSession(socket, { ...options, role: 'server', protocol, head });
  if (options.greet !== false && options.writable.length > 0) session.greet(Math.min(...options.writable));
  return session;
}

/**
 * Answers a WebSocket upgrade and serves it as a pipe of bytes.
 *
 * @param options.protocol what to select; the caller has chosen it from {@link offeredProtocols}, '' for none
 * @returns undefined when the upgrade was refused
 */
export function acceptByteStream(
  request: IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
  options: Omit<ByteStreamOptions, 'role' | 'head'>,
): WebSocketByteStream | undefined {
  if (refuseBadHandshake(request, socket)) return undefined;
  answer(request, socket, options.protocol);
  return new WebSocketByteStream(socket, { ...options, role: 'server', head });
}

/** The subprotocols that a client offers, from all header lines, in order. */
export function offeredProtocols(request: IncomingMessage): string[] {
  return splitNames([request.headers['sec-websocket-protocol'] ?? '']);
}

function refuseBadHandshake(request: IncomingMessage, socket: Duplex): boolean {
  const version = request.headers['sec-websocket-version'];
  if (request.method !== 'GET') {
    refuseUpgrade(socket, 405, 'bad method', [['Allow', 'GET']]);
  } else if (!isWebSocketUpgrade(request)) {
    refuseUpgrade(socket, 400, 'not a WebSocket upgrade');
  } else if ((request.headers['sec-websocket-key'] ?? '') === '') {
    refuseUpgrade(socket, 400, 'Sec-WebSocket-Key is missing');
  } else if (version !== '13') {
    refuseUpgrade(socket, 400, 'missing or bad WebSocket version', [['Sec-WebSocket-Version', '13']]);
  } else return false;
  return true;
}

/** Nothing but the status line, as x/net: no header, no body. */
function refuseProtocol(socket: Duplex): void {
  socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  void lingerAndDestroy(socket);
}

/** Without a subprotocol the header is left out: Go's servers send it empty, and strict clients refuse that. */
function answer(request: IncomingMessage, socket: Duplex, protocol: string): void {
  answerUpgrade(socket, [
    ['Upgrade', 'websocket'],
    ['Connection', 'Upgrade'],
    ['Sec-WebSocket-Accept', acceptValue(request.headers['sec-websocket-key'] ?? '')],
    ...(protocol === '' ? [] : ([['Sec-WebSocket-Protocol', protocol]] as const)),
  ]);
}
