import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage, request, type Server } from 'node:http';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ExecPathError } from '../common/errors.ts';
import { CertificateAuthority, type KeyPair } from '../pki/authority.ts';
import type { ClientConfig } from './client-config.ts';
import { createTransport, type Transport } from './transport.ts';

const cleanups: (() => unknown)[] = [];
let authority: CertificateAuthority;
let stranger: CertificateAuthority;
let folder: string;

beforeAll(async () => {
  authority = await CertificateAuthority.create('test-ca');
  stranger = await CertificateAuthority.create('stranger-ca');
  folder = await mkdtemp(join(tmpdir(), 'podwire-transport-'));
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Listens on loopback until the test ends, then drops every connection. */
async function listen(server: TcpServer): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

interface TlsPeer {
  readonly port: number;
  /** The server's side of the next connection. */
  next(): Promise<TLSSocket>;
}

async function tlsPeer(options: TlsOptions & { pair?: KeyPair } = {}): Promise<TlsPeer> {
  const pair = options.pair ?? (await serverPair());
  const server = createTlsServer({
    cert: pair.certificate,
    key: pair.key,
    ALPNProtocols: ['h2', 'http/1.1'],
    ...options,
  });
  const port = await listen(server);
  return {
    port,
    next: async () => {
      const [socket] = (await once(server, 'secureConnection')) as [TLSSocket];
      socket.on('error', () => {});
      return socket;
    },
  };
}

const serverPair = (hosts: readonly string[] = ['127.0.0.1', 'localhost']): Promise<KeyPair> =>
  authority.issue({ commonName: 'server', hosts, usages: ['server'] });

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
  cleanups.push(() => socket.destroy());
  return socket;
}

async function failure(work: Promise<unknown>): Promise<ExecPathError> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(ExecPathError);
  return error as ExecPathError;
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
    const error = await failure(transportTo(peer.port).connect(new URL(`https://127.0.0.1:${peer.port}`)));
    expect(error.message).toMatch(/certificate is for another name .*tls-server-name/);
  });

  it('says what to do about a certificate from an unknown CA, and names hop and address', async () => {
    const peer = await tlsPeer();
    const transport = transportTo(peer.port, { certificateAuthority: { pem: stranger.certificate } });
    const error = await failure(transport.connect(transport.server));
    expect(error).toMatchObject({ code: 'ERR_DIAL', hop: 'apiserver' });
    expect(error.message).toMatch(new RegExp(`cannot connect to 127.0.0.1:${peer.port}: .*set certificate-authority`));
    expect((await failure(transport.connect(transport.server, { hop: 'kubelet' }))).hop).toBe('kubelet');
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
    await failure(transport.connect(transport.server));
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
    const error = await failure(transport.connect(transport.server));
    expect(error).toMatchObject({ code: 'ERR_CERTIFICATE' });
    expect(error.message).toContain('certificate authority /nowhere/ca.crt cannot be used: it does not exist');
  });
});

describe('a dial that fails', () => {
  it('says that nothing listens', async () => {
    const server = createTcpServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const transport = transportTo(port);
    const error = await failure(transport.connect(transport.server));
    expect(error.message).toBe(`cannot connect to 127.0.0.1:${port}: connection refused: nothing listens there`);
  });

  it('says that a host name is not known', async () => {
    const transport = transportTo(1, { server: new URL('http://no-such-host.invalid:8080') });
    const error = await failure(transport.connect(transport.server));
    expect(error.message).toMatch(/no-such-host\.invalid:8080: the host name (is not known|cannot be looked up)/);
  });

  it('says that the peer speaks no TLS', async () => {
    const port = await listen(createHttpServer());
    const error = await failure(transportTo(port).connect(new URL(`https://127.0.0.1:${port}`)));
    expect(error.message).toContain('it does not speak TLS');
  });

  it('ends at the deadline when the peer never shakes hands, and closes the socket', async () => {
    const server = createTcpServer();
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const port = await listen(server);
    const transport = transportTo(port);
    const [error, [there]] = await Promise.all([
      failure(transport.connect(transport.server, { timeoutMs: 50 })),
      accepted,
    ]);
    expect(error).toMatchObject({ code: 'ERR_DIAL_TIMEOUT' });
    expect(error.message).toBe(`127.0.0.1:${port} did not answer within 50 ms (while shaking hands)`);
    if (!there.closed) await once(there.resume(), 'close');
  });

  it('ends when the caller gives up, before and during', async () => {
    const port = await listen(createTcpServer());
    const transport = transportTo(port);
    const gone = await failure(transport.connect(transport.server, { signal: AbortSignal.abort() }));
    expect(gone.code).toBe('ERR_ABORTED');
    const control = new AbortController();
    const pending = failure(transport.connect(transport.server, { signal: control.signal }));
    setImmediate(() => control.abort());
    expect((await pending).code).toBe('ERR_ABORTED');
  });
});

/** An http proxy that notes what it was asked for and connects everything to `port`. */
async function httpProxy(port: number, { tls, status = 200 }: { tls?: KeyPair; status?: number } = {}) {
  const asked: { target: string | undefined; authorization: string | undefined }[] = [];
  const proxy: Server = createHttpServer();
  proxy.on('connect', (ask: IncomingMessage, client: Socket, head: Buffer) => {
    asked.push({ target: ask.url, authorization: ask.headers['proxy-authorization'] });
    if (status !== 200) return client.end(`HTTP/1.1 ${status} No\r\n\r\n`);
    const upstream = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      client.pipe(upstream).pipe(client);
    });
    client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy());
    return upstream.on('error', () => client.destroy());
  });
  if (tls === undefined) return { asked, port: await listen(proxy) };
  const secure = createTlsServer({ cert: tls.certificate, key: tls.key }, (socket) => proxy.emit('connection', socket));
  return { asked, port: await listen(secure) };
}

describe('a transport through a proxy', () => {
  it('asks an http proxy for a tunnel, with the password of proxy-url', async () => {
    const peer = await tlsPeer({ pair: await serverPair(['api.example']) });
    const proxy = await httpProxy(peer.port);
    const transport = transportTo(peer.port, {
      server: new URL('https://api.example:6443'),
      proxyUrl: new URL(`http://me:p%40ss@127.0.0.1:${proxy.port}`),
    });
    const [, there] = await Promise.all([dialled(transport), peer.next()]);
    expect(there.servername).toBe('api.example');
    const authorization = `Basic ${Buffer.from('me:p@ss').toString('base64')}`;
    expect(proxy.asked).toEqual([{ target: 'api.example:6443', authorization }]);
  });

  it('speaks TLS to an https proxy and TLS to the server inside it, both ways and to the end', async () => {
    const peer = await tlsPeer({ pair: await serverPair(['api.example']) });
    const proxy = await httpProxy(peer.port, { tls: await serverPair() });
    const transport = transportTo(peer.port, {
      server: new URL('https://api.example'),
      proxyUrl: new URL(`https://127.0.0.1:${proxy.port}`),
    });
    const [socket, there] = await Promise.all([dialled(transport), peer.next()]);
    socket.write('ping');
    expect(String((await once(there, 'data'))[0])).toBe('ping');
    there.end('pong');
    expect(String((await once(socket, 'data'))[0])).toBe('pong');
    expect(proxy.asked[0]?.target).toBe('api.example:443');
  });

  it('takes HTTPS_PROXY from the environment unless NO_PROXY names the server', async () => {
    const peer = await tlsPeer({ pair: await serverPair(['api.example']) });
    const proxy = await httpProxy(peer.port);
    const env = { HTTPS_PROXY: `127.0.0.1:${proxy.port}` };
    const server = new URL('https://api.example');
    await dialled(transportTo(peer.port, { server }, { env }));
    expect(proxy.asked).toHaveLength(1);
    const direct = transportTo(
      peer.port,
      { server: new URL('https://api.invalid') },
      { env: { ...env, NO_PROXY: '.invalid' } },
    );
    await failure(direct.connect(direct.server));
    expect(proxy.asked).toHaveLength(1);
  });

  it.each([
    [407, /wants a user and a password/],
    [403, /refused the tunnel with HTTP 403/],
  ])('says so when the proxy answers %i', async (status, message) => {
    const proxy = await httpProxy(1, { status });
    const transport = transportTo(1, {
      server: new URL('https://api.example'),
      proxyUrl: new URL(`http://user:secret@127.0.0.1:${proxy.port}`),
    });
    const error = await failure(transport.connect(transport.server));
    expect(error.message).toMatch(message);
    expect(error.message).toContain(`api.example:443 through the proxy http://127.0.0.1:${proxy.port}`);
    expect(error.message).not.toContain('secret');
  });

  it('goes through a SOCKS5 proxy that looks the name up', async () => {
    const peer = await tlsPeer({ pair: await serverPair(['api.example']) });
    const seen: string[] = [];
    const socks = createTcpServer((client) => {
      client.once('data', () => {
        client.write(Buffer.from([5, 0]));
        client.once('data', (ask: Buffer) => {
          seen.push(
            `${ask.subarray(5, 5 + (ask[4] ?? 0)).toString()}:${ask.readUInt16BE(ask.length - 2)} type ${ask[3]}`,
          );
          const upstream = connect(peer.port, '127.0.0.1', () => {
            client.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
            client.pipe(upstream).pipe(client);
          });
          upstream.on('error', () => client.destroy());
          client.on('close', () => upstream.destroy());
        });
      });
    });
    const port = await listen(socks);
    const transport = transportTo(peer.port, {
      server: new URL('https://api.example:6443'),
      proxyUrl: new URL(`socks5://127.0.0.1:${port}`),
    });
    const [socket, there] = await Promise.all([dialled(transport), peer.next()]);
    there.write('hello');
    expect(String((await once(socket, 'data'))[0])).toBe('hello');
    expect(seen).toEqual(['api.example:6443 type 3']);
  });

  it('gives up on a SOCKS5 proxy that never answers', async () => {
    const port = await listen(createTcpServer());
    const transport = transportTo(1, {
      server: new URL('https://api.example'),
      proxyUrl: new URL(`socks5://127.0.0.1:${port}`),
    });
    const error = await failure(transport.connect(transport.server, { timeoutMs: 50 }));
    expect(error.message).toMatch(/within 50 ms \(while waiting for the proxy\)/);
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

  it('reach a server over http.request, below the path of the server', async () => {
    const server = createHttpServer((ask, answer) => answer.end(`${ask.url} ${ask.headers.authorization}`));
    const port = await listen(server);
    const transport = transportTo(port, { server: new URL(`http://127.0.0.1:${port}/cluster/`), token: 't' });
    const url = transport.url('/api/v1/pods', new URLSearchParams({ limit: '5' }));
    const socket = await dialled(transport, url);
    const ask = request(url, { headers: await transport.headers(), createConnection: () => socket });
    ask.end();
    const [answer] = (await once(ask, 'response')) as [IncomingMessage];
    expect(String((await once(answer, 'data'))[0])).toBe('/cluster/api/v1/pods?limit=5 Bearer t');
  });
});
