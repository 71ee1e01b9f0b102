import { connect as connectTcp, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import { ExecPathError, toError } from '../common/errors.ts';
import { machineRoots } from '../kubeapi/index.ts';

/** How long the streaming server may take to accept a connection, in ms. */
export const STREAMING_DIAL_TIMEOUT_MS = 10_000;

/** What Node says of a certificate that no root of ours leads to. */
const untrustedCodes: ReadonlySet<string | undefined> = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
]);

/**
 * Connects to a runtime's streaming server. The certificate of one with TLS must be for the URL's host and signed by a
 * root that this machine trusts: CRI says nothing of whom to trust, and the real kubelet has no flag for it either.
 *
 * @see kubernetes pkg/kubelet/server, apimachinery pkg/util/proxy/dial.go
 */
export class StreamingDialer {
  #roots = '';
  #context: SecureContext | undefined;

  /** @throws ExecPathError ERR_DIAL */
  async dial(url: URL, signal: AbortSignal): Promise<Duplex> {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const isSecure = url.protocol === 'https:';
    const port = Number(url.port || (isSecure ? 443 : 80));
    const fail = (cause: unknown): ExecPathError =>
      new ExecPathError('ERR_DIAL', `the runtime's streaming server at ${host}:${port}: ${explain(cause)}`, {
        cause,
        hop: 'runtime',
      });
    try {
      if (!isSecure) return await connected(connectTcp({ host, port }), 'connect', signal);
      const secureContext = await this.#secureContext();
      const socket = connectTls({ host, port, secureContext, ALPNProtocols: ['http/1.1'] });
      return await connected(socket, 'secureConnect', signal);
    } catch (cause) {
      throw fail(cause);
    }
  }

  /** Roots are looked at each time, for an authority may be added while we run; a context of all of them is dear. */
  async #secureContext(): Promise<SecureContext> {
    const ca = await machineRoots(process.env);
    const roots = ca?.join('') ?? '';
    if (this.#context === undefined || roots !== this.#roots) {
      this.#context = createSecureContext({ minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) });
      this.#roots = roots;
    }
    return this.#context;
  }
}

function connected(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<Socket> {
  socket.setNoDelay(true).setKeepAlive(true, 30_000);
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      done();
      socket.on('error', () => {}).destroy();
      reject(toError(cause));
    };
    const abort = (): void => fail(new Error('the client left'));
    const timer = setTimeout(
      () => fail(new Error(`no connection within ${STREAMING_DIAL_TIMEOUT_MS} ms`)),
      STREAMING_DIAL_TIMEOUT_MS,
    );
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      socket.removeListener('error', fail);
    };
    socket.once('error', fail).once(event, () => {
      done();
      resolve(socket);
    });
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
  });
}

function explain(cause: unknown): string {
  const error = toError(cause) as NodeJS.ErrnoException;
  if (!untrustedCodes.has(error.code)) return error.message;
  return "its certificate is signed by nobody this machine trusts: add its CA to the machine's roots, or name them in SSL_CERT_FILE";
}
