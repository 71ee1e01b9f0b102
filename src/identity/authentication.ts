import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { ExecPathError, type Hop } from '../common/errors.ts';
import { isWebSocketUpgrade, offeredProtocols, takeBearerToken } from '../httpstream/index.ts';
import { holderOf } from './certificate-holder.ts';
import { replaceHeader } from './request-headers.ts';
import { anonymousUser, authenticatedUser, type User } from './user.ts';

/** Knows whose a bearer token is. */
export interface TokenSource {
  /** Undefined when it knows nothing of the token. */
  userOf(token: string): User | undefined | Promise<User | undefined>;
}

export interface AuthenticationOptions {
  readonly tokens: readonly TokenSource[];
  /** `--anonymous-auth`: callers without credentials are `system:anonymous`. Wrong credentials are refused all the same. */
  readonly anonymousAuth: boolean;
  /** Who asks for credentials, for errors. */
  readonly hop: Hop;
}

/** Finds out who makes a request: client certificate, bearer token, token as a WebSocket subprotocol, or nobody. */
export class Authenticator {
  readonly #options: AuthenticationOptions;

  constructor(options: AuthenticationOptions) {
    this.#options = options;
  }

  /**
   * Takes the credentials out of the request: what is passed on no longer holds them.
   *
   * @throws ExecPathError ERR_UNAUTHORIZED
   */
  async authenticate(request: IncomingMessage): Promise<User> {
    const token = takeToken(request);
    const certificate = userOfCertificate(request.socket);
    if (certificate !== undefined && certificate !== 'untrusted') return certificate;
    if (token !== undefined) {
      const user = await this.userOfToken(token);
      if (user !== undefined) return user;
    }
    const saidNothing = token === undefined && certificate === undefined && !request.headers.authorization;
    if (saidNothing && this.#options.anonymousAuth) return anonymousUser;
    throw new ExecPathError('ERR_UNAUTHORIZED', 'Unauthorized', { hop: this.#options.hop });
  }

  /** For token reviews too. */
  async userOfToken(token: string): Promise<User | undefined> {
    for (const source of this.#options.tokens) {
      const user = await source.userOf(token);
      if (user !== undefined) return user;
    }
    return undefined;
  }
}

/**
 * The user of a client certificate: CN is the name, each O a group.
 *
 * @returns `untrusted` when there is a certificate that the client CA does not vouch for, or no longer
 */
function userOfCertificate(socket: Socket): User | 'untrusted' | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const { name, groups, validTo } = holderOf(certificate);
  // The handshake checked it; a connection can outlive it.
  if (!socket.authorized || validTo < Date.now() || name === '') return 'untrusted';
  return authenticatedUser(name, groups);
}

/** Removes `Authorization` and the token subprotocol: neither is for the next hop. */
function takeToken(request: IncomingMessage): string | undefined {
  const { authorization } = request.headers;
  if (isWebSocketUpgrade(request)) {
    const { token, rest } = takeBearerToken(offeredProtocols(request));
    if (token !== undefined) replaceHeader(request, 'sec-websocket-protocol', rest.join(', '));
    if (token !== undefined && authorization === undefined) return token;
  }
  const [, bearer] = /^bearer +(\S+) *$/i.exec(authorization ?? '') ?? [];
  if (bearer !== undefined) replaceHeader(request, 'authorization', undefined);
  return bearer;
}
