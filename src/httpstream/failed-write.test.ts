import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { clientSession } from '../../test/support/websocket-pair.ts';
import { deferred } from '../common/deferred.ts';
import type { Connection } from './connection.ts';
import { readOnAfterFailedWrite } from './failed-write.ts';
import { relay } from './relay.ts';
import { SpdySession } from './spdy/session.ts';

const open: (Server | Socket)[] = [];
const workers: Worker[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) {
    if ('destroy' in one) one.destroy();
    else one.close();
  }
  await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
});

/**
 * A server that says its last word and resets while this thread stands still, behind a client of this thread that has
 * written once more: both are there when it goes on, the client's first.
 */
const PEERS = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { connect, createServer } = require('node:net');
  const flag = new Int32Array(workerData);
  let server, client, got = '';
  const said = (message) => parentPort.postMessage(message);
  const listener = createServer({ allowHalfOpen: true }, (socket) => {
    server = socket.on('error', () => {});
    said('accepted');
  });
  listener.listen(0, '127.0.0.1', () => said(listener.address().port));
  parentPort.on('message', (port) => {
    if (port > 0) {
      client = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => client.write('begin'));
      client.on('data', (bytes) => { got += bytes.toString('latin1'); }).on('end', () => client.end());
      client.on('error', (error) => { got += error.code; }).on('close', () => said(got));
      return;
    }
    // The first byte of a frame of either protocol.
    const last = () => server.write(Buffer.from('\\x82Status', 'latin1'), () => {
      server.resetAndDestroy();
      setTimeout(() => { Atomics.store(flag, 0, 1); Atomics.notify(flag, 0); }, 30);
    });
    if (client === undefined) last();
    else client.write('more', last);
  });
`;

async function peers(): Promise<{ readonly worker: Worker; readonly flag: Int32Array; readonly port: number }> {
  const shared = new SharedArrayBuffer(4);
  const worker = new Worker(PEERS, { eval: true, workerData: shared });
  workers.push(worker);
  const [port] = (await once(worker, 'message')) as [number];
  return { worker, flag: new Int32Array(shared), port };
}

/** The peer's last word and its reset are there when this returns, and nobody has looked. */
function standStill(worker: Worker, flag: Int32Array): void {
  worker.postMessage(0);
  Atomics.wait(flag, 0, 0, 10_000);
}

describe('a peer that has said its last word and resets', () => {
  it('is read to its end, though a write fails first', async () => {
    const { worker, flag, port } = await peers();
    const socket = connect({ port, host: '127.0.0.1' });
    open.push(socket);
    await Promise.all([once(socket, 'connect'), once(worker, 'message')]);
    readOnAfterFailedWrite(socket);
    let got = '';
    socket.on('data', (bytes: Buffer) => {
      got += bytes.toString('latin1');
    });
    const closed = once(socket, 'close').catch(() => {});
    standStill(worker, flag);
    socket.write('too late');
    socket.write('later still');
    await closed;
    expect(got).toBe('\x82Status');
  });

  it('is passed on by a relay, though the client writes first', async () => {
    const { worker, flag, port } = await peers();
    const relayed = deferred<undefined>();
    const front = createServer({ allowHalfOpen: true }, (socket) => {
      const upstream = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => {
        void relay({ socket, head: Buffer.alloc(0) }, { socket: upstream, head: Buffer.alloc(0) });
        relayed.resolve(undefined);
      });
    }).listen(0, '127.0.0.1');
    open.push(front);
    await once(front, 'listening');
    const accepted = once(worker, 'message');
    worker.postMessage((front.address() as { readonly port: number }).port);
    await Promise.all([relayed.promise, accepted]);
    standStill(worker, flag);
    expect(await once(worker, 'message')).toEqual(['\x82Status']);
  });

  it.each([
    ['SPDY', (socket: Socket): Connection => new SpdySession(socket, { role: 'client' })],
    ['WebSocket', (socket: Socket): Connection => clientSession(socket)],
  ])('has not taken the goodbye of a client over %s, whose end is then not clean', async (_title, sessionOn) => {
    const { worker, flag, port } = await peers();
    const socket = connect({ port, host: '127.0.0.1' });
    open.push(socket);
    await Promise.all([once(socket, 'connect'), once(worker, 'message')]);
    const session = sessionOn(socket);
    await new Promise(setImmediate);
    standStill(worker, flag);
    await session.close();
    expect(await session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_CONNECTION_LOST' } });
  });

  it('is given up when it has nothing to say', async () => {
    const server = createServer({ allowHalfOpen: true }, () => {}).listen(0, '127.0.0.1');
    open.push(server);
    await once(server, 'listening');
    const socket = connect({ ...(server.address() as { readonly port: number }), host: '127.0.0.1' });
    open.push(socket);
    await once(socket, 'connect');
    const reset = Object.assign(new Error('write ECONNRESET'), { code: 'ECONNRESET' });
    socket._write = (_chunk, _encoding, done) => done(reset);
    readOnAfterFailedWrite(socket, { quietMs: 50 });
    socket.write('into the void');
    expect(await once(socket, 'close').catch((error: unknown) => error)).toBe(reset);
  });
});
