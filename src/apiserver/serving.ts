import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ExecPathError } from '../common/errors.ts';
import { type Listener, listen, type TlsSource } from '../httpstream/index.ts';
import { Authenticator, TokenFile } from '../identity/index.ts';
import { ReloadingTls } from '../pki/index.ts';

const LOOPBACK = '127.0.0.1';

/** `--secure-port` */
export const SECURE_PORT = 6443;

/** How an apiserver listens and whom it knows; fields bear the names of kube-apiserver's flags in camel case. */
export interface ServingOptions {
  /** `--bind-address`; default 127.0.0.1. */
  readonly bindAddress?: string;
  /** `--secure-port` for https; default {@link SECURE_PORT}, 0 for any free one. */
  readonly securePort?: number;
  /** `--tls-cert-file`: PEM, read again when it changes. Needed unless `insecurePort` is set. */
  readonly tlsCertFile?: string;
  /** `--tls-private-key-file`: PEM, read again when it changes. */
  readonly tlsPrivateKeyFile?: string;
  /** `--client-ca-file`: PEM, read again when it changes. Whom it vouches for is known by certificate: CN and O. */
  readonly clientCaFile?: string;
  /** `--token-auth-file`: CSV `token,user,uid,"group1,group2"`, read again when it changes. */
  readonly tokenAuthFile?: string;
  /** `--anonymous-auth`; default false. */
  readonly anonymousAuth?: boolean;
  /** podwire's own: plain http on this port of 127.0.0.1, with the same authentication. Default: none; 0: any free one. */
  readonly insecurePort?: number;
  /** `--request-timeout`, of which the head may take all and the body too; default 30 s. */
  readonly requestTimeoutMs?: number;
  /** `--max-requests-inflight`; default 400, watches and sessions not counted. */
  readonly maxRequestsInFlight?: number;
  /** `--cors-allowed-origins`: regular expressions for the whole `Origin` of pages that may open sessions. Default: none. */
  readonly corsAllowedOrigins?: readonly string[];
  /** podwire's own: how long a stop lets requests and sessions finish. Default 5 s. */
  readonly shutdownGraceMs?: number;
  /** Told of what went wrong in the background, such as a certificate file that cannot be read any more. */
  readonly onProblem?: (problem: Error) => void;
}

/** Where somebody listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly url: string;
}

/** Takes what the listeners hear. */
export interface RequestHandler {
  onRequest(request: IncomingMessage, response: ServerResponse): void;
  onUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void;
}

/** The listeners of an apiserver. */
export interface Serving {
  /** For https; undefined when plain http alone is served. */
  readonly address: Address | undefined;
  /** For plain http. */
  readonly insecureAddress: Address | undefined;
  /** Takes no more connections, lets requests finish for the grace, then leaves no socket. */
  close(): Promise<void>;
}

/**
 * Listens for https, with certificates that follow their files, and for plain http where it is wanted.
 *
 * @throws ExecPathError ERR_BAD_REQUEST for options that do not go together, ERR_CERTIFICATE, ERR_LISTEN
 */
export async function serveRequests(options: ServingOptions, handler: RequestHandler): Promise<Serving> {
  validate(options);
  const listeners: Listener[] = [];
  let tls: ReloadingTls | undefined;
  const close = async (): Promise<void> => {
    await Promise.all(listeners.map((listener) => listener.close(options.shutdownGraceMs)));
    tls?.close();
  };
  const listenAt = async (host: string, port: number, source?: TlsSource): Promise<Listener> => {
    const listener = await listen({
      host,
      port,
      ...(source === undefined ? {} : { tls: source }),
      ...(options.requestTimeoutMs === undefined ? {} : { headersTimeoutMs: options.requestTimeoutMs }),
      onRequest: (request, response) => handler.onRequest(request, response),
      onUpgrade: (request, socket, head) => handler.onUpgrade(request, socket as Socket, head),
    });
    listeners.push(listener);
    return listener;
  };
  try {
    tls = await loadTls(options);
    const { bindAddress = LOOPBACK, securePort = SECURE_PORT, insecurePort } = options;
    const address = tls === undefined ? undefined : await listenAt(bindAddress, securePort, tls);
    const insecureAddress = insecurePort === undefined ? undefined : await listenAt(LOOPBACK, insecurePort);
    return { address, insecureAddress, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Knows callers by what `options` name: client certificates, tokens. */
export function authenticatorOf({ tokenAuthFile, anonymousAuth = false, onProblem }: ServingOptions): Authenticator {
  const tokens = tokenAuthFile === undefined ? [] : [new TokenFile(tokenAuthFile, onProblem ?? (() => {}))];
  return new Authenticator({ tokens, anonymousAuth, hop: 'apiserver' });
}

/** @throws ExecPathError ERR_BAD_REQUEST */
export function allowedOriginsOf({ corsAllowedOrigins = [] }: ServingOptions): RegExp[] {
  return corsAllowedOrigins.map(patternOf);
}

function validate(options: ServingOptions): void {
  const { tlsCertFile, tlsPrivateKeyFile, clientCaFile, insecurePort } = options;
  const refuse = (message: string): Error => new ExecPathError('ERR_BAD_REQUEST', message, { hop: 'apiserver' });
  if ((tlsCertFile === undefined) !== (tlsPrivateKeyFile === undefined)) {
    throw refuse('--tls-cert-file and --tls-private-key-file go together: give both or none');
  }
  if (tlsCertFile === undefined && insecurePort === undefined) {
    throw refuse('an apiserver needs --tls-cert-file and --tls-private-key-file, or --insecure-port');
  }
  if (tlsCertFile === undefined && clientCaFile !== undefined) {
    throw refuse('--client-ca-file needs --tls-cert-file: client certificates come with TLS alone');
  }
}

function patternOf(text: string): RegExp {
  try {
    return new RegExp(text, 'i');
  } catch (cause) {
    const message = `--cors-allowed-origins ${JSON.stringify(text)} is not a regular expression`;
    throw new ExecPathError('ERR_BAD_REQUEST', message, { cause, hop: 'apiserver' });
  }
}

async function loadTls(options: ServingOptions): Promise<ReloadingTls | undefined> {
  if (options.tlsCertFile === undefined) return undefined;
  const files = {
    certificateFile: options.tlsCertFile,
    keyFile: options.tlsPrivateKeyFile,
    caFile: options.clientCaFile,
  };
  return await ReloadingTls.load(files, options.onProblem === undefined ? {} : { onError: options.onProblem });
}
