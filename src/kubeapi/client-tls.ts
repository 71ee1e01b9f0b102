import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity, createSecureContext, type SecureContext } from 'node:tls';
import { ExecPathError, toError } from '../common/errors.ts';
import type { ClientConfig } from './client-config.ts';
import type { Credentials } from './credentials.ts';
import type { TlsDial } from './dial.ts';
import { hostOf, hostPort } from './host-port.ts';
import { machineRoots } from './machine-roots.ts';
import { PemReader } from './pem-source.ts';
import { TlsSessions } from './tls-sessions.ts';

/**
 * TLS of the client's side. CA, certificate and key are looked at before every connection, so that a rotation takes
 * effect at the next one; what turns out to be broken then leaves the last good state in force.
 */
export class ClientTls {
  readonly #config: ClientConfig;
  readonly #credentials: Credentials;
  readonly #env: NodeJS.ProcessEnv;
  readonly #ca: PemReader | undefined;
  #material = '';
  #context: SecureContext | undefined;
  /** Of `#context`. */
  #sessions = new TlsSessions();
  #generation = 0;

  constructor(config: ClientConfig, credentials: Credentials, env: NodeJS.ProcessEnv) {
    this.#config = config;
    this.#credentials = credentials;
    this.#env = env;
    this.#ca = config.certificateAuthority && new PemReader(config.certificateAuthority, 'certificate authority');
  }

  /**
   * Grows whenever new connections would use another CA or another client certificate than before.
   *
   * @throws ExecPathError ERR_CERTIFICATE or ERR_CREDENTIALS
   */
  async generation(): Promise<number> {
    await this.#secureContext();
    return this.#generation;
  }

  /**
   * For TLS with the host of `url`. Only HTTP/1.1 is offered: upgrades do not exist in HTTP/2.
   *
   * @throws ExecPathError ERR_CERTIFICATE or ERR_CREDENTIALS
   */
  async target(url: URL): Promise<TlsDial> {
    const name = this.#config.tlsServerName ?? hostOf(url);
    const secureContext = await this.#secureContext();
    const sessions = this.#sessions;
    const server = hostPort(url);
    const session = sessions.offer(server);
    return {
      options: {
        secureContext,
        ALPNProtocols: ['http/1.1'],
        minVersion: 'TLSv1.2',
        rejectUnauthorized: this.#config.insecureSkipTlsVerify !== true,
        // An IP address is no server name; it is checked against the certificate all the same.
        ...(isIP(name) === 0 ? { servername: name } : {}),
        checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
        ...(session === undefined ? {} : { session }),
      },
      onSocket: (socket) => sessions.learn(server, socket),
    };
  }

  /** For an https proxy: the machine's roots and the cluster's CA, and never our certificate. */
  async proxy(url: URL): Promise<TlsDial> {
    const host = hostOf(url);
    const own = await this.#ca?.read();
    const roots = await machineRoots(this.#env);
    const options: ConnectionOptions = {
      ...(own === undefined && roots === undefined
        ? {}
        : { ca: [...(own === undefined ? [] : [own]), ...(roots ?? [])] }),
      ALPNProtocols: ['http/1.1'],
      minVersion: 'TLSv1.2',
      ...(isIP(host) === 0 ? { servername: host } : {}),
      checkServerIdentity: (_host, certificate) => checkServerIdentity(host, certificate),
    };
    return { options };
  }

  async #secureContext(): Promise<SecureContext> {
    const [pair, ca] = await Promise.all([this.#credentials.keyPair(), this.#ca?.read()]);
    const material = JSON.stringify([ca, pair]);
    if (this.#context !== undefined && material === this.#material) return this.#context;
    const roots = ca === undefined && this.#config.insecureSkipTlsVerify !== true ? await machineRoots(this.#env) : ca;
    try {
      if (ca !== undefined) assertCertificates(ca);
      this.#context = createSecureContext({
        ...pair,
        ...(roots === undefined ? {} : { ca: roots }),
        minVersion: 'TLSv1.2',
      });
      this.#sessions = new TlsSessions();
      this.#generation += 1;
    } catch (thrown) {
      if (this.#context === undefined) throw this.#unusable(thrown);
    }
    // Remembered also when it is broken, so that it is not tried again at every connection.
    this.#material = material;
    return this.#context;
  }

  #unusable(thrown: unknown): ExecPathError {
    const { clientCertificate, clientKey, certificateAuthority } = this.#config;
    const sources = [clientCertificate, clientKey, certificateAuthority].flatMap((source) =>
      source === undefined ? [] : 'file' in source ? [source.file] : ['inline data'],
    );
    const cause = toError(thrown);
    return new ExecPathError(
      'ERR_CERTIFICATE',
      `CA, client certificate and key (${sources.join(', ')}) do not make a TLS client: ${cause.message}`,
      { cause, hop: 'client' },
    );
  }
}

/** OpenSSL passes over what it cannot read in a bundle, and would then trust nobody without a word. */
function assertCertificates(bundle: string): void {
  const blocks = bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  for (const block of blocks) void new X509Certificate(block);
  if (blocks.length === 0) throw new Error('the CA bundle holds no certificate');
}
