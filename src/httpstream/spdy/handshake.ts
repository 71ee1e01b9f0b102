import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { UpgradeError } from '../../common/errors.ts';
import { negotiate, splitNames } from '../../common/subprotocols.ts';
import { headerValues, type RawHeaders } from '../http-answer.ts';
import { answerUpgrade, refuseUpgrade, requestUpgrade } from '../upgrade.ts';
import { SpdySession } from './session.ts';
import type { SpdySessionOptions } from './session-options.ts';

const PROTOCOL_HEADER = 'X-Stream-Protocol-Version';
const ACCEPTED_HEADER = 'X-Accepted-Stream-Protocol-Versions';
const UPGRADE_TOKEN = 'SPDY/3.1';

export interface SpdyDialRequest {
  /** Path and query as they go on the request line. */
  readonly path: string;
  /** `Host`, credentials and the like; the handshake's own lines are added. */
  readonly headers: RawHeaders;
  /** Stream protocols on offer, most preferred first. */
  readonly protocols: readonly string[];
  /** Default POST, as client-go does. */
  readonly method?: 'GET' | 'POST';
  /** Default {@link UPGRADE_ANSWER_TIMEOUT_MS}. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly session?: Omit<SpdySessionOptions, 'role' | 'head'>;
}

export interface DialedSpdy {
  readonly session: SpdySession;
  /** What the server chose; `''` when it named none: exec takes that for v1, port-forward for a failure. */
  readonly protocol: string;
  readonly headers: RawHeaders;
}

/**
 * Upgrades a connected socket to SPDY/3.1 as its client. Owns the socket from here on; it is destroyed on failure.
 *
 * @throws UpgradeError, ExecPathError as `requestUpgrade`; ERR_NO_COMMON_PROTOCOL when the server chose what was not
 *   offered
 * @see wire.md 1.1
 */
export async function dialSpdy(socket: Duplex, request: SpdyDialRequest): Promise<DialedSpdy> {
  const answer = await requestUpgrade(
    socket,
    {
      method: request.method ?? 'POST',
      path: request.path,
      headers: [
        ...request.headers,
        ['Content-Length', '0'],
        ['Connection', 'Upgrade'],
        ['Upgrade', UPGRADE_TOKEN],
        ...request.protocols.map((protocol) => [PROTOCOL_HEADER, protocol] as const),
      ],
    },
    {
      ...(request.timeoutMs === undefined ? {} : { timeoutMs: request.timeoutMs }),
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    },
  );
  const fail = (code: 'ERR_UPGRADE_REFUSED' | 'ERR_NO_COMMON_PROTOCOL', message: string): never => {
    socket.destroy();
    throw new UpgradeError(code, message, { httpStatus: 101, body: '', headers: answer.headers });
  };
  if (!isSpdyUpgrade(answer.headers)) {
    fail('ERR_UPGRADE_REFUSED', 'unable to upgrade connection: the answer 101 does not switch to SPDY/3.1');
  }
  const protocol = headerValues(answer.headers, PROTOCOL_HEADER)[0]?.trim() ?? '';
  if (protocol !== '' && !request.protocols.includes(protocol)) {
    const message = `unable to negotiate protocol: client supports ${goList(request.protocols)}, server returned ${JSON.stringify(protocol)}`;
    fail('ERR_NO_COMMON_PROTOCOL', message);
  }
  const session = new SpdySession(socket, { ...request.session, role: 'client', head: answer.head });
  return { session, protocol, headers: answer.headers };
}

export interface AcceptedSpdy {
  readonly session: SpdySession;
  readonly protocol: string;
}

/**
 * Answers an upgrade to SPDY/3.1 as its server. Give it what the server's 'upgrade' event gave.
 *
 * A request with a body is refused: in place of the session's first bytes would stand the body's.
 *
 * @param protocols what this server speaks; the client's first name among them is chosen
 * @returns undefined when the request was refused; the socket is then answered, closed and nobody else's business
 * @see wire.md 1.1; the order of the checks and their texts are upstream's
 */
export function acceptSpdy(
  request: IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
  protocols: readonly string[],
  session: Omit<SpdySessionOptions, 'role' | 'head'> = {},
): AcceptedSpdy | undefined {
  const headers = headersOf(request);
  const refuse = (status: number, text: string, lines?: RawHeaders): undefined => {
    refuseUpgrade(socket, status, `unable to upgrade: ${text}`, lines);
  };
  const offered = splitNames(headerValues(headers, PROTOCOL_HEADER));
  if (offered.length === 0) return refuse(400, `${PROTOCOL_HEADER} is required`);
  const protocol = negotiate(offered, protocols);
  if (protocol === undefined) {
    const text = `unable to negotiate protocol: client supports ${goList(offered)}, server accepts ${goList(protocols)}`;
    return refuse(
      403,
      text,
      protocols.map((name) => [ACCEPTED_HEADER, name]),
    );
  }
  if (!isSpdyUpgrade(headers)) {
    const [connection, upgrade] = ['Connection', 'Upgrade'].map((name) =>
      JSON.stringify(headerValues(headers, name)[0] ?? ''),
    );
    return refuse(400, `missing upgrade headers in request: Connection is ${connection}, Upgrade is ${upgrade}`);
  }
  if (hasBody(headers)) return refuse(400, 'an upgrade request must not have a body');
  answerUpgrade(socket, [
    ['Connection', 'Upgrade'],
    ['Upgrade', UPGRADE_TOKEN],
    [PROTOCOL_HEADER, protocol],
  ]);
  return { session: new SpdySession(socket, { ...session, role: 'server', head }), protocol };
}

/** Upstream looks at the first line of each header only, for a part of it, whatever its case. */
function isSpdyUpgrade(headers: RawHeaders): boolean {
  const contains = (name: string, part: string): boolean =>
    (headerValues(headers, name)[0] ?? '').toLowerCase().includes(part);
  return contains('Connection', 'upgrade') && contains('Upgrade', UPGRADE_TOKEN.toLowerCase());
}

function hasBody(headers: RawHeaders): boolean {
  const length = headerValues(headers, 'Content-Length')[0] ?? '0';
  return headerValues(headers, 'Transfer-Encoding').length > 0 || Number(length) !== 0;
}

function headersOf({ rawHeaders }: IncomingMessage): RawHeaders {
  return rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [[name, rawHeaders[index + 1] ?? ''] as const] : []));
}

/** A list as Go prints it. */
function goList(names: readonly string[]): string {
  return `[${names.join(' ')}]`;
}
