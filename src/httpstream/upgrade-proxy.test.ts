import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, expect, it } from 'vitest';
import { readAll } from '../../test/support/read-all.ts';
import { deferred } from '../common/deferred.ts';
import { refuseUpgrade } from './upgrade.ts';
import { proxyUpgrade, type UpgradeProxyResult } from './upgrade-proxy.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A client that has sent its upgrade to a proxy, and the connection that the proxy has made to the next hop. */
async function upgrading(): Promise<{ client: Socket; nextHop: Socket; result: Promise<UpgradeProxyResult> }> {
  const nextHop = createTcpServer({ allowHalfOpen: true });
  const connection = once(nextHop, 'connection') as Promise<[Socket]>;
  const nextPort = await portOf(nextHop);
  const result = deferred<UpgradeProxyResult>();
  const proxy = createServer().on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const dial = async (): Promise<Duplex> => connect(nextPort, '127.0.0.1');
    const refuse = (refused: Duplex, error: Error): void => refuseUpgrade(refused, 500, error.message);
    void proxyUpgrade({ request, socket, head }, { connect: dial, path: '/next' }, { refuse }).then(result.resolve);
  });
  const client = connect({ port: await portOf(proxy), host: '127.0.0.1', allowHalfOpen: true });
  client.on('error', () => {});
  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n');
  const [accepted] = await connection;
  accepted.on('error', () => {});
  open.push(
    () => client.destroy(),
    () => accepted.destroy(),
  );
  await once(accepted, 'readable');
  return { client, nextHop: accepted, result: result.promise };
}

it('hangs up on a next hop that has not answered when the client leaves', async () => {
  const { client, nextHop, result } = await upgrading();
  client.end();
  nextHop.resume();
  await once(nextHop, 'end');
  expect(await result).toMatchObject({ kind: 'refused', error: { code: 'ERR_ABORTED' } });
});

it('passes on what the client sent before the answer', async () => {
  const { client, nextHop, result } = await upgrading();
  client.write('early ');
  nextHop.read();
  nextHop.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\nwelcome');
  await once(client, 'data');
  client.end('late');
  const got = readAll(nextHop);
  nextHop.end();
  expect((await got).toString()).toBe('early late');
  expect(await result).toMatchObject({ kind: 'relayed', bytesUp: 10, bytesDown: 7 });
});

it('passes the bytes of header values on as they are', async () => {
  const { client, nextHop } = await upgrading();
  const answer = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nX-Name: caf\xe9\r\n\r\n', 'latin1');
  nextHop.end(answer);
  const got = readAll(client);
  client.end();
  expect((await got).toString('latin1')).toBe(answer.toString('latin1'));
});

it.each(['a\0b', 'a\x1b[2Jb', 'a\rX-Other: b', 'a\x7fb'])(
  'lets no control character of the next hop’s headers reach the client: %j',
  async (value) => {
    for (const status of ['101 Switching Protocols', '403 Forbidden']) {
      const { client, nextHop, result } = await upgrading();
      nextHop.end(`HTTP/1.1 ${status}\r\nX-Odd: ${value}\r\nContent-Length: 0\r\n\r\n`);
      const got = readAll(client);
      client.end();
      await result;
      const [head] = (await got).toString().split('\r\n\r\n');
      expect(head).not.toContain(value);
    }
  },
);

it.each(['HTTP/1.1 999 \r\n', 'HTTP/1.1 404 Not\x1bFound\r\n', 'HTTP/1.1 403\r\n'])(
  'writes a status line of its own for the next hop’s %j',
  async (line) => {
    const { client, nextHop } = await upgrading();
    nextHop.end(`${line}Content-Length: 0\r\n\r\n`);
    const got = (await readAll(client)).toString();
    expect(got).toMatch(/^HTTP\/1\.1 (999 Unknown|404 Not Found|403 Forbidden)\r\n/);
  },
);
