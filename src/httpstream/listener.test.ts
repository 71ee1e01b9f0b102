import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { CertificateAuthority } from '../pki/index.ts';
import { type Listener, type ListenOptions, listen } from './listener.ts';

let listener: Listener | undefined;

afterEach(() => listener?.close(0));

async function start(options: Partial<ListenOptions> = {}): Promise<Listener> {
  listener = await listen({ onRequest: () => {}, onUpgrade: (_request, socket) => socket.destroy(), ...options });
  return listener;
}

async function dial({ port }: Listener): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

async function textUntilClosed(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (bytes: Buffer) => (text += bytes.toString())).on('error', () => {});
  if (!socket.destroyed) await once(socket, 'close');
  return text;
}

const GET = 'GET /slow HTTP/1.1\r\nHost: x\r\n\r\n';
const UPGRADE = 'GET /exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n';

describe('a listener', () => {
  it('closes a connection that asks for an upgrade before its last request was answered', async () => {
    const responses: ServerResponse[] = [];
    let upgrades = 0;
    const server = await start({
      onRequest: (_request, response) => responses.push(response),
      onUpgrade: (_request, socket) => {
        upgrades += 1;
        socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n');
      },
    });
    const socket = await dial(server);
    socket.write(GET + UPGRADE);
    expect(await textUntilClosed(socket)).toBe('');
    for (const response of responses) response.end('the answer to the first');
    expect([responses.length, upgrades]).toEqual([1, 0]);
  });

  it('upgrades a connection whose earlier requests have been answered', async () => {
    const server = await start({
      onRequest: (_request, response) => response.end('one'),
      onUpgrade: (_request, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\ntwo'),
    });
    const socket = await dial(server);
    socket.write(GET);
    await once(socket, 'data');
    socket.write(UPGRADE);
    expect(await textUntilClosed(socket)).toBe('HTTP/1.1 101 Switching Protocols\r\n\r\ntwo');
  });

  it('gives a TLS handshake as long as a request’s headers', async () => {
    const authority = await CertificateAuthority.create('ca');
    const material = await authority.issue({ commonName: 'x', hosts: ['127.0.0.1'], usages: ['server'] });
    const server = await start({
      headersTimeoutMs: 100,
      tls: { material: { cert: material.certificate, key: material.key }, serve: () => () => {} },
    });
    const before = performance.now();
    expect(await textUntilClosed(await dial(server))).toBe('');
    expect(performance.now() - before).toBeLessThan(10_000);
  });

  it('says so to a client that speaks HTTP where TLS is spoken', async () => {
    const authority = await CertificateAuthority.create('ca');
    const material = await authority.issue({ commonName: 'x', hosts: ['127.0.0.1'], usages: ['server'] });
    const server = await start({
      tls: { material: { cert: material.certificate, key: material.key }, serve: () => () => {} },
    });
    const socket = await dial(server);
    socket.write(GET);
    expect(await textUntilClosed(socket)).toBe(
      'HTTP/1.0 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n' +
        'Client sent an HTTP request to an HTTPS server.\n',
    );
    const other = await dial(server);
    other.write('neither of them\r\n\r\n');
    expect(await textUntilClosed(other)).not.toContain('HTTP');
  });

  it('survives a connection that the system cannot accept', async () => {
    const server = await start({
      onRequest: ({ socket }, response) => {
        const { server: tcp } = socket as Socket & { readonly server: Server };
        tcp.emit('error', Object.assign(new Error('accept ENOBUFS'), { code: 'ENOBUFS' }));
        response.end('still here');
      },
    });
    expect(await (await fetch(server.url)).text()).toBe('still here');
  });
});
