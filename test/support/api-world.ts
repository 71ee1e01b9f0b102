import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { type Apiserver, type ApiserverOptions, startApiserver } from '../../src/apiserver/index.ts';
import { CertificateAuthority, type CertificateRequest, type KeyPair, writePair } from '../../src/pki/index.ts';

/** Tokens of the users that {@link ApiWorld} knows by its token file. */
export const testTokens = { admin: 'admin-token', bob: 'bob-token', node1: 'node1-token' } as const;

export interface ApiCall {
  readonly method?: string;
  /** An object is sent as JSON. */
  readonly body?: unknown;
  readonly headers?: OutgoingHttpHeaders;
  /** Default: the admin's; `''` for none. */
  readonly token?: string;
  /** A client certificate instead. */
  readonly pair?: KeyPair;
  /** Of another server with the same authority. Default: the world's own. */
  readonly port?: number;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON; undefined when it is none. */
  readonly json: unknown;
}

/**
 * An apiserver on loopback with a CA, a token file and ways to call it.
 *
 * Owns: the server and a folder with its files.
 */
export class ApiWorld implements AsyncDisposable {
  readonly folder: string;
  readonly authority: CertificateAuthority;
  readonly server: Apiserver;
  /** Files of the server's certificate, key, client CA and tokens. */
  readonly files: Required<
    Pick<ApiserverOptions, 'tlsCertFile' | 'tlsPrivateKeyFile' | 'clientCaFile' | 'tokenAuthFile'>
  >;

  private constructor(folder: string, authority: CertificateAuthority, server: Apiserver, files: ApiWorld['files']) {
    this.folder = folder;
    this.authority = authority;
    this.server = server;
    this.files = files;
  }

  static async start(options: ApiserverOptions = {}): Promise<ApiWorld> {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-api-'));
    const authority = await CertificateAuthority.create('test-ca');
    const pair = await authority.issue({
      commonName: 'kube-apiserver',
      hosts: ['127.0.0.1', 'localhost'],
      usages: ['server'],
    });
    const { certificateFile, keyFile } = await writePair(folder, 'apiserver', pair);
    const files = {
      tlsCertFile: certificateFile,
      tlsPrivateKeyFile: keyFile,
      clientCaFile: join(folder, 'ca.crt'),
      tokenAuthFile: join(folder, 'tokens.csv'),
    };
    writeFileSync(files.clientCaFile, authority.certificate);
    writeFileSync(
      files.tokenAuthFile,
      `${testTokens.admin},admin,1,system:masters\n` +
        `${testTokens.bob},bob,2,"dev,ops"\n` +
        `${testTokens.node1},system:node:n1,3,system:nodes\n`,
    );
    const server = await startApiserver({
      securePort: 0,
      ...files,
      shutdownGraceMs: 1000,
      // Tests of the API alone write what controllers would.
      controllers: [],
      ...options,
    });
    return new ApiWorld(folder, authority, server, files);
  }

  get port(): number {
    return this.server.address?.port ?? 0;
  }

  get url(): string {
    return this.server.address?.url ?? '';
  }

  issue(request: Omit<CertificateRequest, 'usages'>): Promise<KeyPair> {
    return this.authority.issue({ usages: ['client'], ...request });
  }

  /** One request and its whole answer, on a connection of its own. */
  async call(
    path: string,
    { method = 'GET', body, headers = {}, token = testTokens.admin, pair, port = this.port }: ApiCall = {},
  ): Promise<ApiAnswer> {
    const bytes = body === undefined || Buffer.isBuffer(body) || typeof body === 'string' ? body : JSON.stringify(body);
    const length =
      bytes === undefined || 'Transfer-Encoding' in headers ? {} : { 'Content-Length': Buffer.byteLength(bytes) };
    const options: RequestOptions = {
      method,
      host: '127.0.0.1',
      port,
      path,
      ca: this.authority.certificate,
      agent: false,
      headers: {
        ...(token === '' || pair !== undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...length,
        ...headers,
      },
      ...(pair === undefined ? {} : { cert: pair.certificate, key: pair.key }),
    };
    return new Promise((resolve, reject) => {
      const request = httpsRequest(options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: jsonOf(text) });
        });
      });
      request.on('error', reject);
      request.end(bytes);
    });
  }

  /** A TLS connection of an own client, for bytes that no HTTP client would send. */
  async connect(pair?: KeyPair): Promise<TLSSocket> {
    const trust = { ca: this.authority.certificate };
    const identity = pair === undefined ? {} : { cert: pair.certificate, key: pair.key };
    const socket = connectTls({ host: '127.0.0.1', port: this.port, ...trust, ...identity });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    return socket;
  }

  /** Writes a kubeconfig for a token or a client certificate. @returns its path */
  kubeconfig(name: string, user: { readonly token?: string; readonly pair?: KeyPair }): string {
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    const path = join(this.folder, `${name}.kubeconfig`);
    const credentials = user.pair
      ? { 'client-certificate-data': base64(user.pair.certificate), 'client-key-data': base64(user.pair.key) }
      : { token: user.token };
    writeFileSync(
      path,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [
          {
            name: 'test',
            cluster: { server: this.url, 'certificate-authority-data': base64(this.authority.certificate) },
          },
        ],
        users: [{ name, user: credentials }],
        contexts: [{ name: 'test', context: { cluster: 'test', user: name } }],
        'current-context': 'test',
      }),
    );
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
