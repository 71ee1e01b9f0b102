import { readFile } from 'node:fs/promises';
import { validateHeaderValue } from 'node:http';
import { ExecPathError, toError } from '../common/errors.ts';
import type { ClientConfig } from './client-config.ts';
import type { ExecCredential } from './exec-credential.ts';
import { type ExecClusterInfo, type ExecPluginSurroundings, runExecPlugin } from './exec-plugin.ts';
import { impersonationHeaders } from './impersonation.ts';
import { PemReader, type PemSource } from './pem-source.ts';

/** Headers by name; several lines of one name are a list. Fits `http.request` and `ws` as it is. */
export type RequestHeaders = Record<string, string | string[]>;

/** PEM of a client certificate and its key. */
export interface ClientKeyPair {
  readonly cert: string;
  readonly key: string;
}

export interface CredentialsOptions {
  readonly surroundings?: ExecPluginSurroundings;
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number;
}

/** How long the content of `tokenFile` is believed. */
export const TOKEN_FILE_MS = 60_000;

/** Who calls, as the config says: tokens, passwords, certificates, credential plugins, impersonation. */
export class Credentials {
  readonly #config: ClientConfig;
  readonly #now: () => number;
  readonly #surroundings: ExecPluginSurroundings;
  readonly #certificate: PemReader | undefined;
  readonly #key: PemReader | undefined;
  #fileToken: { readonly text: string; readonly readAt: number } | undefined;
  #credential: ExecCredential | undefined;
  #running: Promise<ExecCredential> | undefined;

  constructor(config: ClientConfig, options: CredentialsOptions = {}) {
    this.#config = config;
    this.#now = options.now ?? Date.now;
    this.#surroundings = options.surroundings ?? {};
    this.#certificate = config.clientCertificate && new PemReader(config.clientCertificate, 'client certificate');
    this.#key = config.clientKey && new PemReader(config.clientKey, 'client key');
  }

  /** @throws ExecPathError ERR_CREDENTIALS when the token cannot be got */
  async headers(): Promise<RequestHeaders> {
    const authorization = await this.#authorization();
    const headers = {
      ...(authorization === undefined ? {} : { Authorization: authorization }),
      ...impersonationHeaders(this.#config.impersonate ?? {}),
    };
    for (const [name, values] of Object.entries(headers))
      for (const value of [values].flat()) assertSendable(name, value);
    return headers;
  }

  /** @throws ExecPathError ERR_CERTIFICATE or ERR_CREDENTIALS */
  async keyPair(): Promise<ClientKeyPair | undefined> {
    if (this.#certificate !== undefined && this.#key !== undefined) {
      const [cert, key] = await Promise.all([this.#certificate.read(), this.#key.read()]);
      return { cert, key };
    }
    const { clientCertificate, clientKey } = this.#usesPlugin() ? await this.#pluginCredential() : {};
    return clientCertificate === undefined || clientKey === undefined
      ? undefined
      : { cert: clientCertificate, key: clientKey };
  }

  /**
   * The server said 401 to `refused`: forget what is cached and get it anew.
   *
   * @returns whether another try makes sense, because something changed
   */
  async renew(refused: RequestHeaders): Promise<boolean> {
    this.#fileToken = undefined;
    const before = this.#credential;
    // Somebody else's 401 may have brought a fresh token already.
    if (
      this.#running === undefined &&
      (before?.token === undefined || `Bearer ${before.token}` === refused['Authorization'])
    ) {
      this.#credential = undefined;
    }
    const { Authorization: now } = await this.headers();
    if (this.#usesPlugin()) await this.#pluginCredential();
    return now !== refused['Authorization'] || this.#credential?.clientCertificate !== before?.clientCertificate;
  }

  async #authorization(): Promise<string | undefined> {
    const { tokenFile, token, basic } = this.#config;
    if (tokenFile !== undefined) return `Bearer ${await this.#readTokenFile(tokenFile)}`;
    if (token !== undefined) return `Bearer ${token}`;
    if (basic !== undefined) {
      return `Basic ${Buffer.from(`${basic.username}:${basic.password}`, 'utf8').toString('base64')}`;
    }
    const credential = this.#usesPlugin() ? await this.#pluginCredential() : undefined;
    return credential?.token === undefined ? undefined : `Bearer ${credential.token}`;
  }

  async #readTokenFile(file: string): Promise<string> {
    const cached = this.#fileToken;
    if (cached !== undefined && this.#now() - cached.readAt < TOKEN_FILE_MS) return cached.text;
    const text = await readFile(file, 'utf8').then((all) => all.trim(), toError);
    if (typeof text === 'string' && text !== '') {
      this.#fileToken = { text, readAt: this.#now() };
      return text;
    }
    // A token that cannot be read again is better than none: the server will say when it has expired.
    if (cached !== undefined) return cached.text;
    const why = typeof text === 'string' ? 'is empty' : `cannot be read: ${text.message}`;
    throw new ExecPathError('ERR_CREDENTIALS', `token file ${file} ${why}`, { cause: text, hop: 'client' });
  }

  #usesPlugin(): boolean {
    const { exec, token, tokenFile, basic } = this.#config;
    return exec !== undefined && (token ?? tokenFile ?? basic) === undefined;
  }

  /** One run of the plugin serves everybody who waits. */
  async #pluginCredential(): Promise<ExecCredential> {
    const cached = this.#credential;
    if (cached !== undefined && (cached.expiresAt === undefined || this.#now() < cached.expiresAt)) return cached;
    const { exec } = this.#config;
    if (exec === undefined) throw new ExecPathError('ERR_INTERNAL', 'a plugin runs only where one is configured');
    this.#running ??= runExecPlugin(exec, () => clusterInfo(this.#config), this.#surroundings).finally(() => {
      this.#running = undefined;
    });
    this.#credential = await this.#running;
    return this.#credential;
  }
}

/** Never quotes the value: it is a secret. */
function assertSendable(name: string, value: string): void {
  try {
    validateHeaderValue(name, value);
  } catch (cause) {
    const message = `the value for the header ${name} has a line break or another character that no header can carry`;
    throw new ExecPathError('ERR_CREDENTIALS', message, { cause, hop: 'client' });
  }
}

/** `spec.cluster` of a plugin's input, with the CA embedded. */
async function clusterInfo(config: ClientConfig): Promise<ExecClusterInfo> {
  const ca: PemSource | undefined = config.certificateAuthority;
  const pem = ca === undefined ? undefined : await new PemReader(ca, 'certificate authority').read();
  return {
    server: config.server.href.replace(/\/$/, ''),
    ...(config.tlsServerName === undefined ? {} : { 'tls-server-name': config.tlsServerName }),
    ...(config.insecureSkipTlsVerify === true ? { 'insecure-skip-tls-verify': true } : {}),
    ...(pem === undefined ? {} : { 'certificate-authority-data': Buffer.from(pem, 'utf8').toString('base64') }),
    ...(config.proxyUrl === undefined ? {} : { 'proxy-url': config.proxyUrl.href }),
    ...(config.disableCompression === true ? { 'disable-compression': true } : {}),
    ...(config.execConfig === undefined ? {} : { config: config.execConfig }),
  };
}
