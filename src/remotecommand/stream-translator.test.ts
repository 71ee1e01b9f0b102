import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { StreamOptions } from '../common/channels.ts';
import { deferred } from '../common/deferred.ts';
import {
  acceptSpdy,
  type CloseReason,
  dialSpdy,
  type IncomingStream,
  type Listener,
  listen,
  openChannels,
  type SpdySession,
} from '../httpstream/index.ts';
import { type RemoteCommand, runRemoteCommand } from './client.ts';
import { channelStreamSet } from './stream-set.ts';
import { type DialUpstream, type TranslatorLimits, translateStreams } from './stream-translator.ts';

const streams: StreamOptions = { stdin: false, stdout: true, stderr: false, tty: false };
const listeners: Listener[] = [];

afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close(0);
});

async function serve(onUpgrade: Parameters<typeof listen>[0]['onUpgrade']): Promise<Listener> {
  const listener = await listen({ onRequest: (_request, response) => response.end(), onUpgrade });
  listeners.push(listener);
  return listener;
}

async function dial({ port }: Listener): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

/** A next hop that speaks SPDY v4, driven by hand. */
async function nextHop(
  onStream: (incoming: IncomingStream, hop: { readonly session: SpdySession; readonly socket: Socket }) => void,
): Promise<{ readonly listener: Listener; readonly closed: Promise<CloseReason> }> {
  const closed = deferred<CloseReason>();
  const listener = await serve((request, socket, head) => {
    const accepted = acceptSpdy(request, socket, head, ['v4.channel.k8s.io'], {
      onStream: (incoming) => {
        if (accepted !== undefined) onStream(incoming, { session: accepted.session, socket: request.socket });
      },
    });
    void accepted?.session.closed.then((reason) => closed.resolve(reason));
  });
  return { listener, closed: closed.promise };
}

/** A v5 client behind a translator before `hop`. */
async function runThrough(hop: Listener, limits: TranslatorLimits = {}): Promise<RemoteCommand> {
  const dialHop: DialUpstream = async (signal) =>
    dialSpdy(await dial(hop), { path: '/', headers: [['Host', 'test']], protocols: ['v4.channel.k8s.io'], signal });
  const translator = await serve((request, socket, head) => {
    void translateStreams({ request, socket, head }, streams, dialHop, limits);
  });
  const session = await openChannels(await dial(translator), {
    path: '/',
    host: 'test',
    protocols: ['v5.channel.k8s.io'],
  });
  return runRemoteCommand(channelStreamSet(session, streams));
}

describe('the stream translator', () => {
  it('leaves no session with a next hop that refuses a stream', async () => {
    const { listener, closed } = await nextHop((incoming) => {
      if (incoming.headers.get('streamtype') === 'stdout') incoming.reject();
      else incoming.accept();
    });
    const command = await runThrough(listener);
    command.stdout?.resume();
    expect(await command.completed).toMatchObject({ kind: 'failed', code: 'ERR_REMOTE' });
    expect(await closed).toMatchObject({ kind: 'lost' });
  });

  it('tells no exit code when the connection was lost before the end of the output', async () => {
    const { listener } = await nextHop((incoming, { socket }) => {
      const stream = incoming.accept();
      if (incoming.headers.get('streamtype') === 'error') stream.end('{"metadata":{},"status":"Success"}');
      else stream.write('half of the out', () => socket.end());
    });
    const command = await runThrough(listener);
    command.stdout?.resume();
    expect(await command.completed).toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('the command exited with code 0, but its output was cut short'),
    });
  });

  it('does not wait for ever for output behind a Status', async () => {
    const { listener, closed } = await nextHop((incoming) => {
      const stream = incoming.accept();
      if (incoming.headers.get('streamtype') === 'error') stream.end('{"metadata":{},"status":"Success"}');
    });
    const command = await runThrough(listener, { outputEndTimeoutMs: 50 });
    command.stdout?.resume();
    expect(await command.completed).toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('held stdout open for 50 ms without a byte') as string,
    });
    expect(await closed).toMatchObject({ kind: 'lost' });
  });

  it('passes a Status on when the outputs end by RST_STREAM, as they do with some runtimes', async () => {
    const { listener } = await nextHop((incoming, { session }) => {
      const stream = incoming.accept();
      if (incoming.headers.get('streamtype') === 'error') stream.end('{"metadata":{},"status":"Success"}');
      else stream.write('all of the output', () => void session.close());
    });
    const command = await runThrough(listener);
    command.stdout?.resume();
    expect(await command.completed).toEqual({ kind: 'exited', code: 0 });
  });
});
