import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage, request } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { failureOf } from '../../test/support/failure.ts';
import { Loopback, type TlsPeer } from '../../test/support/loopback.ts';
import { CertificateAuthority, type KeyPair } from '../pki/authority.ts';
import type { ClientConfig } from './client-config.ts';
import { createTransport, type Transport } from './transport.ts';

const loopback = new Loopback();
let authority: CertificateAuthority;
let stranger: CertificateAuthority;
let folder: string;

beforeAll(async () => {
  authority = await CertificateAuthority.create('test-ca');
  stranger = await CertificateAuthority.create('stranger-ca');
  folder = await mkdtemp(join(tmpdir(), 'podwire-transport-'));
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => loopback.close());

const serverPair = (hosts: readonly string[] = ['127.0.0.1', 'localhost']): Promise<KeyPair> =>
  authority.issue({ commonName: 'server', hosts, usages: ['server'] });

async function tlsPeer(options: TlsOptions & { pair?: KeyPair } = {}): Promise<TlsPeer> {
  const pair = options.pair ?? (await serverPair());
  return loopback.listenTls({ cert: pair.certificate, key: pair.key, ...options });
}

function transportTo(
  port: number,
  config: Partial<ClientConfig> = {},
  options: Parameters<typeof createTransport>[1] = {},
): Transport {
  return createTransport(
    { server: new URL(`https://127.0.0.1:${port}`), certificateAuthority: { pem: authority.certificate }, ...config },
    { env: {}, ...options },
  );
}

async function dialled(transport: Transport, url: URL = transport.server): Promise<Socket> {
  const socket = await transport.connect(url);
  loopback.defer(() => socket.destroy());
  return socket;
}

describe('a transport over TLS', () => {
  it('reaches a server whose certificate our CA signed, and offers http/1.1 alone', async () => {
    const peer = await tlsPeer();
    const [socket, there] = await Promise.all([dialled(transportTo(peer.port)), peer.next()]);
    expect((socket as TLSSocket).authorized).toBe(true);
    expect(there.alpnProtocol).toBe('http/1.1');
    there.write('hello');
    expect(String((await once(socket, 'data'))[0])).toBe('hello');
  });

  it('sends no server name for an IP address and the host for a name', async () => {
    const peer = await tlsPeer();
    const [, byAddress] = await Promise.all([dialled(transportTo(peer.port)), peer.next()]);
    expect(byAddress.servername).toBe(false);
    const named = transportTo(peer.port, { server: new URL(`https://localhost:${peer.port}`) });
    const [, byName] = await Promise.all([dialled(named), peer.next()]);
    expect(byName.servername).toBe('localhost');
  });

  it('checks and announces tls-server-name instead of the host', async () => {
    const peer = await tlsPeer({ pair: await serverPair(['kubernetes.default']) });
    const [, there] = await Promise.all([
      dialled(transportTo(peer.port, { tlsServerName: 'kubernetes.default' })),
      peer.next(),
    ]);
    expect(there.servername).toBe('kubernetes.default');
    const error = await failureOf(transportTo(peer.port).connect(new URL(`https://127.0.0.1:${peer.port}`)));
    expect(error.message).toMatch(/certificate is for another name .*tls-server-name/);
  });

  it('says what to do about a certificate from an unknown CA, and names hop and address', async () => {
    const peer = await tlsPeer();
    const transport = transportTo(peer.port, { certificateAuthority: { pem: stranger.certificate } });
    const error = await failureOf(transport.connect(transport.server));
    expect(error).toMatchObject({ code: 'ERR_DIAL', hop: 'apiserver' });
    expect(error.message).toMatch(new RegExp(`cannot connect to 127.0.0.1:${peer.port}: .*set certificate-authority`));
    expect((await failureOf(transport.connect(transport.server, { hop: 'kubelet' }))).hop).toBe('kubelet');
  });

  it('trusts anybody when told to skip verification', async () => {
    const peer = await tlsPeer();
    const transport = transportTo(peer.port, { certificateAuthority: undefined, insecureSkipTlsVerify: true });
    expect((await dialled(transport)).destroyed).toBe(false);
  });

  it('shows its client certificate', async () => {
    const peer = await tlsPeer({ requestCert: true, rejectUnauthorized: true, ca: authority.certificate });
    const pair = await authority.issue({ commonName: 'alice', organizations: ['devs', 'ops'], usages: ['client'] });
    const transport = transportTo(peer.port, {
      clientCertificate: { pem: pair.certificate },
      clientKey: { pem: pair.key },
    });
    const [, there] = await Promise.all([dialled(transport), peer.next()]);
    expect(there.getPeerCertificate().subject).toMatchObject({ CN: 'alice', O: ['devs', 'ops'] });
  });

  it('takes a changed CA file at the next connection, and keeps the old one when the new is broken', async () => {
    const peer = await tlsPeer();
    const file = join(folder, 'rotating-ca.crt');
    const replace = async (text: string): Promise<void> => {
      await writeFile(`${file}.new`, text);
      await rename(`${file}.new`, file);
    };
    await replace(stranger.certificate);
    const transport = transportTo(peer.port, { certificateAuthority: { file } });
    await failureOf(transport.connect(transport.server));
    const before = await transport.tlsGeneration();
    await replace(authority.certificate);
    await dialled(transport);
    expect(await transport.tlsGeneration()).toBe(before + 1);
    await replace('-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n');
    await dialled(transport);
    await rm(file);
    await dialled(transport);
    expect(await transport.tlsGeneration()).toBe(before + 1);
  });

  it('uses a client certificate that was replaced while it ran', async () => {
    const peer = await tlsPeer({ requestCert: true, rejectUnauthorized: true, ca: authority.certificate });
    const [cert, key] = [join(folder, 'client.crt'), join(folder, 'client.key')];
    const install = async (commonName: string): Promise<void> => {
      const pair = await authority.issue({ commonName, usages: ['client'] });
      await writeFile(cert, pair.certificate);
      await writeFile(key, pair.key);
    };
    await install('before');
    const transport = transportTo(peer.port, { clientCertificate: { file: cert }, clientKey: { file: key } });
    const [, first] = await Promise.all([dialled(transport), peer.next()]);
    await install('after');
    const [, second] = await Promise.all([dialled(transport), peer.next()]);
    expect([first, second].map((socket) => socket.getPeerCertificate().subject.CN)).toEqual(['before', 'after']);
  });

  it('names a CA file that is not there', async () => {
    const transport = transportTo(1, { certificateAuthority: { file: '/nowhere/ca.crt' } });
    const error = await failureOf(transport.connect(transport.server));
    expect(error).toMatchObject({ code: 'ERR_CERTIFICATE' });
    expect(error.message).toContain('certificate authority /nowhere/ca.crt cannot be used: it does not exist');
  });
});

describe('a dial that fails', () => {
  it('says that a certificate has expired', async () => {
    const pair = await authority.issue({
      commonName: 's',
      hosts: ['127.0.0.1'],
      usages: ['server'],
      validForMs: -1000,
    });
    const transport = transportTo((await tlsPeer({ pair })).port);
    const error = await failureOf(transport.connect(transport.server));
    expect(error.message).toContain('its certificate has expired: renew it');
  });

  it('says that a certificate is not one for servers', async () => {
    const pair = await authority.issue({ commonName: 's', hosts: ['127.0.0.1'], usages: ['client'] });
    const transport = transportTo((await tlsPeer({ pair })).port);
    const error = await failureOf(transport.connect(transport.server));
    expect(error.message).toContain('its certificate is not one for servers');
  });

  it('says so when the CA was made anew under the same name', async () => {
    const old = await CertificateAuthority.create('test-ca');
    const transport = transportTo((await tlsPeer()).port, { certificateAuthority: { pem: old.certificate } });
    const error = await failureOf(transport.connect(transport.server));
    expect(error.message).toMatch(/set certificate-authority|the CA was made anew/);
  });

  it('says that nothing listens', async () => {
    const server = createTcpServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const transport = transportTo(port);
    const error = await failureOf(transport.connect(transport.server));
    expect(error.message).toBe(`cannot connect to 127.0.0.1:${port}: connection refused: nothing listens there`);
  });

  it('says that the peer speaks no TLS', async () => {
    const port = await loopback.listen(createHttpServer());
    const error = await failureOf(transportTo(port).connect(new URL(`https://127.0.0.1:${port}`)));
    expect(error.message).toContain('it does not speak TLS');
  });

  it('ends at the deadline when the peer never shakes hands, and closes the socket', async () => {
    const server = createTcpServer();
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const port = await loopback.listen(server);
    const transport = transportTo(port);
    const [error, [there]] = await Promise.all([
      failureOf(transport.connect(transport.server, { timeoutMs: 50 })),
      accepted,
    ]);
    expect(error).toMatchObject({ code: 'ERR_DIAL_TIMEOUT' });
    expect(error.message).toBe(`127.0.0.1:${port} did not answer within 50 ms (while shaking hands)`);
    if (!there.closed) await once(there.resume(), 'close');
  });

  it('ends when the caller gives up, before and during', async () => {
    const port = await loopback.listen(createTcpServer());
    const transport = transportTo(port);
    const gone = await failureOf(transport.connect(transport.server, { signal: AbortSignal.abort() }));
    expect(gone.code).toBe('ERR_ABORTED');
    const control = new AbortController();
    const pending = failureOf(transport.connect(transport.server, { signal: control.signal }));
    setImmediate(() => control.abort());
    expect((await pending).code).toBe('ERR_ABORTED');
  });
});

describe('headers of a transport', () => {
  it('carry the token and whom to act as', async () => {
    const impersonate = { user: 'bob', groups: ['a', 'b'], uid: '7', extra: { 'Example.com/Scope': ['x'] } };
    expect(await transportTo(1, { token: 't', impersonate }).headers()).toEqual({
      Authorization: 'Bearer t',
      'Impersonate-User': 'bob',
      'Impersonate-Uid': '7',
      'Impersonate-Group': ['a', 'b'],
      'Impersonate-Extra-example.com%2Fscope': ['x'],
    });
  });

  it('read a token file again after a minute, and at once after a 401', async () => {
    const tokenFile = join(folder, 'token');
    let now = 0;
    const transport = transportTo(1, { tokenFile, token: 'beaten' }, { now: () => now });
    await writeFile(tokenFile, 'one\n');
    expect(await transport.headers()).toEqual({ Authorization: 'Bearer one' });
    await writeFile(tokenFile, 'two\n');
    now = 59_999;
    expect(await transport.headers()).toEqual({ Authorization: 'Bearer one' });
    now = 60_000;
    expect(await transport.headers()).toEqual({ Authorization: 'Bearer two' });
    await writeFile(tokenFile, 'three\n');
    expect(await transport.renew({ Authorization: 'Bearer two' })).toBe(true);
    expect(await transport.headers()).toEqual({ Authorization: 'Bearer three' });
    expect(await transport.renew({ Authorization: 'Bearer three' })).toBe(false);
    await rm(tokenFile);
    now = 200_000;
    expect(await transport.headers()).toEqual({ Authorization: 'Bearer three' });
  });

  it('refuse a token that no header can carry, without quoting it', async () => {
    const error = await failureOf(transportTo(1, { token: 'secret\nX-Evil: 1' }).headers());
    expect(error).toMatchObject({ code: 'ERR_CREDENTIALS' });
    expect(error.message).not.toContain('secret');
  });

  it('reach a server over http.request, below the path of the server', async () => {
    const server = createHttpServer((ask, answer) => answer.end(`${ask.url} ${ask.headers.authorization}`));
    const port = await loopback.listen(server);
    const transport = transportTo(port, { server: new URL(`http://127.0.0.1:${port}/cluster/`), token: 't' });
    const url = transport.url('/api/v1/pods', new URLSearchParams({ limit: '5' }));
    const socket = await dialled(transport, url);
    const ask = request(url, { headers: await transport.headers(), createConnection: () => socket });
    ask.end();
    const [answer] = (await once(ask, 'response')) as [IncomingMessage];
    expect(String((await once(answer, 'data'))[0])).toBe('/cluster/api/v1/pods?limit=5 Bearer t');
  });
});
