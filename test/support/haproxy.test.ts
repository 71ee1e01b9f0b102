import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { Haproxy } from './haproxy.ts';
import { describeWithPeer } from './peer.ts';
import { cpuSeconds, residentBytes } from './process-table.ts';
import { readAll } from './read-all.ts';

describeWithPeer('haproxy', 'haproxy as a TCP relay', () => {
  it.each([true, false])('carries bytes both ways, splice %s', async (splice) => {
    const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await using haproxy = await Haproxy.start({ target: { host: '127.0.0.1', port }, splice });
    const client = connect({ port: haproxy.port, host: '127.0.0.1', allowHalfOpen: true });
    const bytes = Buffer.alloc(8 * 1024 * 1024, 'podwire');
    client.end(bytes);
    expect((await readAll(client)).equals(bytes)).toBe(true);
    expect(residentBytes(haproxy.pid)).toBeGreaterThan(1024 * 1024);
    expect(cpuSeconds(haproxy.pid)).toBeGreaterThanOrEqual(0);
    server.close();
  });
});
