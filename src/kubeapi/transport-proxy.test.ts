import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { failureOf } from '../../test/support/failure.ts';
import { Loopback, type TlsPeer } from '../../test/support/loopback.ts';
import { CertificateAuthority, type KeyPair } from '../pki/authority.ts';
import { createTransport, type Transport } from './transport.ts';

const loopback = new Loopback();
let authority: CertificateAuthority;
beforeAll(async () => {
  authority = await CertificateAuthority.create('test-ca');
});
afterEach(() => loopback.close());

const serverPair = (host: string): Promise<KeyPair> =>
  authority.issue({ commonName: 'server', hosts: [host], usages: ['server'] });

/** The API server that only proxies can reach: nobody else knows the name. */
async function api(): Promise<TlsPeer> {
  const pair = await serverPair('api.example');
  return loopback.listenTls({ cert: pair.certificate, key: pair.key });
}

function transportTo(server: string, proxyUrl?: string, env: NodeJS.ProcessEnv = {}): Transport {
  const proxy = proxyUrl === undefined ? {} : { proxyUrl: new URL(proxyUrl) };
  const config = { server: new URL(server), certificateAuthority: { pem: authority.certificate }, ...proxy };
  return createTransport(config, { env });
}

async function dialled(transport: Transport): Promise<Socket> {
  const socket = await transport.connect(transport.server);
  loopback.defer(() => socket.destroy());
  return socket;
}

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
  if (tls === undefined) return { asked, port: await loopback.listen(proxy) };
  const secure = createTlsServer({ cert: tls.certificate, key: tls.key }, (socket) => proxy.emit('connection', socket));
  return { asked, port: await loopback.listen(secure) };
}

describe('a transport through a proxy', () => {
  it('asks an http proxy for a tunnel, with the password of proxy-url', async () => {
    const peer = await api();
    const proxy = await httpProxy(peer.port);
    const transport = transportTo('https://api.example:6443', `http://me:p%40ss@127.0.0.1:${proxy.port}`);
    const [, there] = await Promise.all([dialled(transport), peer.next()]);
    expect(there.servername).toBe('api.example');
    const authorization = `Basic ${Buffer.from('me:p@ss').toString('base64')}`;
    expect(proxy.asked).toEqual([{ target: 'api.example:6443', authorization }]);
  });

  it('speaks TLS to an https proxy and TLS to the server inside it, both ways and to the end', async () => {
    const peer = await api();
    const proxy = await httpProxy(peer.port, { tls: await serverPair('127.0.0.1') });
    const transport = transportTo('https://api.example', `https://127.0.0.1:${proxy.port}`);
    const [socket, there] = await Promise.all([dialled(transport), peer.next()]);
    socket.write('ping');
    expect(String((await once(there, 'data'))[0])).toBe('ping');
    there.end('pong');
    expect(String((await once(socket, 'data'))[0])).toBe('pong');
    expect(proxy.asked[0]?.target).toBe('api.example:443');
  });

  it('takes HTTPS_PROXY from the environment unless NO_PROXY names the server', async () => {
    // 0.0.0.0 is this machine, but not loopback by name: those never go through the environment's proxy.
    const pair = await serverPair('0.0.0.0');
    const peer = await loopback.listenTls({ cert: pair.certificate, key: pair.key });
    const proxy = await httpProxy(peer.port);
    const server = `https://0.0.0.0:${peer.port}`;
    const env = { HTTPS_PROXY: `127.0.0.1:${proxy.port}` };
    await Promise.all([dialled(transportTo(server, undefined, { ...env, NO_PROXY: '0.0.0.0/8' })), peer.next()]);
    expect(proxy.asked).toEqual([]);
    await Promise.all([dialled(transportTo(server, undefined, env)), peer.next()]);
    expect(proxy.asked).toMatchObject([{ target: `0.0.0.0:${peer.port}` }]);
  });

  it.each([
    [407, /wants a user and a password/],
    [403, /refused the tunnel with HTTP 403/],
  ])('says so when the proxy answers %i', async (status, message) => {
    const proxy = await httpProxy(1, { status });
    const transport = transportTo('https://api.example', `http://user:secret@127.0.0.1:${proxy.port}`);
    const error = await failureOf(transport.connect(transport.server));
    expect(error.message).toMatch(message);
    expect(error.message).toContain(`api.example:443 through the proxy http://127.0.0.1:${proxy.port}`);
    expect(error.message).not.toContain('secret');
  });

  it('goes through a SOCKS5 proxy that looks the name up', async () => {
    const peer = await api();
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
    const port = await loopback.listen(socks);
    const transport = transportTo('https://api.example:6443', `socks5://127.0.0.1:${port}`);
    const [socket, there] = await Promise.all([dialled(transport), peer.next()]);
    there.write('hello');
    expect(String((await once(socket, 'data'))[0])).toBe('hello');
    expect(seen).toEqual(['api.example:6443 type 3']);
  });

  it('gives up on a SOCKS5 proxy that never answers', async () => {
    const port = await loopback.listen(createTcpServer());
    const transport = transportTo('https://api.example', `socks5://127.0.0.1:${port}`);
    const error = await failureOf(transport.connect(transport.server, { timeoutMs: 50 }));
    expect(error.message).toMatch(/within 50 ms \(while waiting for the proxy\)/);
  });
});
