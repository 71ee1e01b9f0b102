import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { reset } from './splice.ts';

function socketCount(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;
}

it.each([
  ['open', false],
  ['being half-closed', true],
])('closes the descriptor of a reset connection that was %s', async (_title, halfClosed) => {
  const listener = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const before = socketCount();
  const { port } = listener.address() as AddressInfo;
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [server] = (await once(listener, 'connection')) as [Socket];
  server.on('error', () => {}).resume();
  // In the same round of the event loop: the FIN is asked for and has not left.
  if (halfClosed) client.end();
  await new Promise((resolve) => process.nextTick(resolve));
  const closed = once(client, 'close');
  reset(client);
  await closed;
  server.destroy();
  await once(server, 'close');
  expect(socketCount()).toBe(before);
  listener.close();
});
