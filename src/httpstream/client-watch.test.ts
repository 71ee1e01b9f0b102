import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { readAll } from '../../test/support/read-all.ts';
import { ClientWatch } from './client-watch.ts';

const open: { destroy(): unknown }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.destroy();
});

async function pair(): Promise<{ client: Socket; server: Socket }> {
  const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const client = connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  const [server] = (await once(listener, 'connection')) as [Socket];
  listener.close();
  client.on('error', () => {});
  open.push(client, server);
  return { client, server };
}

it.each([
  ['closes its connection', (client: Socket) => client.destroy()],
  ['resets it', (client: Socket) => client.resetAndDestroy()],
  ['half-closes it', (client: Socket) => client.end()],
])('notices a client that %s', async (_title, leave) => {
  const { client, server } = await pair();
  const watch = new ClientWatch(server);
  expect(watch.signal.aborted).toBe(false);
  leave(client);
  await once(watch.signal, 'abort');
  watch.stop();
});

it('leaves what the client sent meanwhile to the next reader, in order', async () => {
  const { client, server } = await pair();
  const watch = new ClientWatch(server);
  client.write('early ');
  await once(server, 'data');
  watch.stop();
  watch.stop();
  client.end('late');
  expect((await readAll(server.resume())).toString()).toBe('early late');
  expect(watch.signal.aborted).toBe(false);
});

it('reads no more than its bound', async () => {
  const { client, server } = await pair();
  const watch = new ClientWatch(server);
  client.write(Buffer.alloc(64 * 1024 * 1024));
  await once(server, 'pause');
  watch.stop();
  expect(server.readableLength).toBeLessThan(256 * 1024);
});

it('knows a client that had left before', async () => {
  const { server } = await pair();
  server.destroy();
  expect(new ClientWatch(server).signal.aborted).toBe(true);
});
