import type { IncomingMessage } from 'node:http';
import { ExecPathError } from '../../common/errors.ts';
import type { Authenticator, User } from '../../identity/index.ts';
import {
  type ClientConfig,
  createTransport,
  impersonationHeaders,
  type RequestHeaders,
  type Transport,
} from '../../kubeapi/index.ts';
import { forbidden } from '../api-error.ts';
import { refusalText } from '../authorization.ts';
import { takeImpersonation } from '../impersonation.ts';
import type { AccessReviews } from './access-reviews.ts';

/** `--upstream-credentials`: how the cluster learns who calls. */
export type UpstreamCredentials = 'impersonate' | 'caller';

/** How one caller is shown to the cluster. */
export interface CallerIdentity {
  /** Undefined where the cluster alone finds out. */
  readonly user: User | undefined;
  /** Headers of the request that must not be passed on, in lower case. */
  readonly drop: readonly string[];
  /** Headers for the cluster. */
  headers(): Promise<RequestHeaders>;
  /** After a 401: gets credentials anew. True when another try makes sense; false where they are not ours. */
  renew(refused: RequestHeaders): Promise<boolean>;
}

/** Finds out who calls, and with what the cluster is called then. */
export interface CallerIdentities {
  /** Connections to the cluster. */
  readonly transport: Transport;
  /** Takes credentials and `Impersonate-*` out of the request. @throws ExecPathError ERR_UNAUTHORIZED, ERR_FORBIDDEN */
  identify(request: IncomingMessage): Promise<CallerIdentity>;
}

/**
 * Callers are authenticated here. Our own credentials may act as anybody, so whoever asks to act as somebody else must be
 * allowed to by the cluster.
 */
export class Impersonating implements CallerIdentities {
  readonly transport: Transport;
  readonly #authenticator: Authenticator;
  readonly #reviews: AccessReviews;

  constructor(transport: Transport, authenticator: Authenticator, reviews: AccessReviews) {
    this.transport = transport;
    this.#authenticator = authenticator;
    this.#reviews = reviews;
  }

  async identify(request: IncomingMessage): Promise<CallerIdentity> {
    const caller = await this.#authenticator.authenticate(request);
    const wanted = takeImpersonation(request);
    for (const permission of wanted?.permissions ?? []) {
      const { isAllowed, reason } = await this.#reviews.mayDo(caller, permission);
      if (isAllowed) continue;
      const resource = { group: permission.group, plural: permission.resource };
      throw forbidden(resource, permission.name, refusalText(caller, permission, reason));
    }
    const user = wanted?.user ?? caller;
    return {
      user,
      drop: ['authorization'],
      headers: async () => ({
        ...(await this.transport.headers()),
        ...impersonationHeaders({ ...user, user: user.name, uid: user.uid === '' ? undefined : user.uid }),
      }),
      renew: (refused) => this.transport.renew(refused),
    };
  }
}

/** Callers show the cluster their own bearer token; client certificates end here, for TLS does. */
export class PassingOn implements CallerIdentities {
  readonly transport: Transport;

  /** @param config the cluster's address and CA; its user's credentials are left out */
  constructor({ server, ...config }: ClientConfig) {
    const { tlsServerName, insecureSkipTlsVerify, certificateAuthority, proxyUrl } = config;
    this.transport = createTransport({
      server,
      tlsServerName,
      certificateAuthority,
      proxyUrl,
      ...(insecureSkipTlsVerify === undefined ? {} : { insecureSkipTlsVerify }),
    });
  }

  async identify(request: IncomingMessage): Promise<CallerIdentity> {
    const hasToken = request.headers.authorization !== undefined || hasTokenSubprotocol(request);
    if (!hasToken) {
      const message =
        'Unauthorized: this apiserver passes bearer tokens on to its cluster, and the request has none (a client certificate cannot be passed on)';
      throw new ExecPathError('ERR_UNAUTHORIZED', message, { hop: 'apiserver' });
    }
    return { user: undefined, drop: [], headers: async () => ({}), renew: async () => false };
  }
}

const TOKEN_SUBPROTOCOL = 'base64url.bearer.authorization.k8s.io.';

function hasTokenSubprotocol({ headers }: IncomingMessage): boolean {
  return (headers['sec-websocket-protocol'] ?? '').includes(TOKEN_SUBPROTOCOL);
}
