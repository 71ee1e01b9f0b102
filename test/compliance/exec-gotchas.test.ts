import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../src/common/deferred.ts';
import { ExecPathError } from '../../src/common/errors.ts';
import { exited } from '../../src/common/outcome.ts';
import {
  acceptSpdy,
  dialSpdy,
  listen,
  openChannels,
  type SpdySession,
  type SpdyStream,
} from '../../src/httpstream/index.ts';
import {
  channelStreamSet,
  openStreamSet,
  type RemoteCommand,
  runRemoteCommand,
  serveRemoteCommand,
  translateStreams,
} from '../../src/remotecommand/index.ts';
import { allStreams, textOf } from './remotecommand-suite.ts';

/** What a hand-driven server has: its session and the streams that the client opened, by type. */
interface ByHand {
  readonly session: SpdySession;
  readonly stream: (type: string) => SpdyStream;
}

/** Runs `serve` as the server of one SPDY v4 session, and our client against it. */
async function against(
  serve: (server: ByHand) => void | Promise<void>,
): Promise<{ command: RemoteCommand; close: () => Promise<void> }> {
  const listener = await listen({
    onRequest: (_request, response) => response.end(),
    onUpgrade: (request, socket, head) => {
      const streams = new Map<string, SpdyStream>();
      const accepted = acceptSpdy(request, socket, head, ['v4.channel.k8s.io'], {
        onStream: (incoming) => {
          streams.set(incoming.headers.get('streamtype') ?? '', incoming.accept());
          if (streams.size < 4 || accepted === undefined) return;
          const stream = (type: string): SpdyStream => {
            const found = streams.get(type);
            if (found === undefined) throw new Error(`no ${type}`);
            return found;
          };
          void serve({ session: accepted.session, stream });
        },
      });
    },
  });
  const { session, protocol } = await dial(listener.port);
  return {
    command: runRemoteCommand(await openStreamSet(session, protocol, allStreams)),
    close: () => listener.close(0),
  };
}

async function dial(port: number): Promise<Awaited<ReturnType<typeof dialSpdy>>> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return await dialSpdy(socket, { path: '/', headers: [['Host', 'test']], protocols: ['v4.channel.k8s.io'] });
}

const success = '{"status":"Success"}';

describe('a client of exec', () => {
  it('gotcha 24, 26: takes a Status that comes before the output, and outputs all', async () => {
    const { command, close } = await against(async ({ session, stream }) => {
      stream('error').end(success);
      await nextTurn();
      stream('stdout').end(Buffer.alloc(1024 * 1024, 'x'));
      stream('stderr').end();
      await once(stream('stdout'), 'finish');
      await session.close();
    });
    command.stderr?.resume();
    expect((await textOf(command.stdout)).length).toBe(1024 * 1024);
    expect(await command.completed).toEqual(exited(0));
    await close();
  });

  it('gotcha 27: waits for a Status that comes long after the output', async () => {
    const outputRead = deferred<void>();
    const { command, close } = await against(async ({ session, stream }) => {
      stream('stdout').end('done');
      stream('stderr').end();
      await outputRead.promise;
      stream('error').end(
        '{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"9"}]}}',
      );
      await session.close();
    });
    command.stderr?.resume();
    expect(await textOf(command.stdout)).toBe('done');
    outputRead.resolve();
    expect(await command.completed).toEqual(exited(9));
    await close();
  });

  it('gotcha 28: fails when every stream ended well and no Status came', async () => {
    const { command, close } = await against(async ({ session, stream }) => {
      for (const type of ['stdout', 'stderr', 'error']) stream(type).end();
      await session.close();
    });
    command.stdout?.resume();
    command.stderr?.resume();
    expect(await command.completed).toMatchObject({ kind: 'failed', code: 'ERR_NO_STATUS' });
    await close();
  });

  it('gotcha 67: never half-closes its connection to say that stdin is over', async () => {
    let ended = false;
    const accepted = deferred<Socket>();
    const relay = createServer({ allowHalfOpen: true }, (downstream) => {
      const upstream = connect({ port: listener.port, host: '127.0.0.1', allowHalfOpen: true });
      downstream.on('error', () => {}).once('end', () => (ended = true));
      downstream.pipe(upstream).on('error', () => {});
      upstream.pipe(downstream);
      accepted.resolve(downstream);
    });
    const listener = await listen({
      onRequest: (_request, response) => response.end(),
      onUpgrade: (request, socket, head) => {
        void serveRemoteCommand({ request, socket, head }, allStreams, async ({ stdin, stdout }) => {
          const text = await textOf(stdin);
          await nextTurn();
          stdout?.write(ended ? 'half-closed' : text);
          return exited(0);
        });
      },
    });
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
    const { session, protocol } = await dial((relay.address() as AddressInfo).port);
    const command = runRemoteCommand(await openStreamSet(session, protocol, allStreams));
    command.stderr?.resume();
    command.stdin?.end('words');
    expect(await textOf(command.stdout)).toBe('words');
    expect(await command.completed).toEqual(exited(0));
    relay.close();
    await listener.close(0);
  });
});

describe('a server of exec', () => {
  const serve = async (started: () => void, streamTimeoutMs = 30_000): ReturnType<typeof listen> =>
    await listen({
      onRequest: (_request, response) => response.end(),
      onUpgrade: (request, socket, head) => {
        const run = async (): Promise<ReturnType<typeof exited>> => {
          started();
          return exited(0);
        };
        void serveRemoteCommand({ request, socket, head }, { ...allStreams, tty: true, stderr: false }, run, {
          streamTimeoutMs,
        });
      },
    });

  it('gotcha 36: refuses a second stream of one type and does not start early', async () => {
    let starts = 0;
    const listener = await serve(() => (starts += 1));
    const { session } = await dial(listener.port);
    await session.openStream({ streamtype: 'error' });
    await session.openStream({ streamtype: 'stdin' });
    await expect(session.openStream({ streamtype: 'stdin' })).rejects.toMatchObject({ code: 'ERR_STREAM_REFUSED' });
    await expect(session.openStream({ streamtype: 'nonsense' })).rejects.toMatchObject({ code: 'ERR_STREAM_REFUSED' });
    await session.openStream({ streamtype: 'stdout' });
    expect(starts).toBe(0);
    await session.openStream({ streamtype: 'resize' });
    await session.closed;
    expect(starts).toBe(1);
    await listener.close(0);
  });

  it('gotcha 38: starts no command with a TTY before the resize stream is there', async () => {
    for (let round = 0; round < 50; round += 1) {
      let started = false;
      const listener = await serve(() => (started = true));
      const { session } = await dial(listener.port);
      for (const streamtype of ['error', 'stdin', 'stdout']) await session.openStream({ streamtype });
      await session.ping();
      expect(started).toBe(false);
      await session.openStream({ streamtype: 'resize' });
      await session.closed;
      expect(started).toBe(true);
      await listener.close(0);
    }
  });

  it('gotcha 35: closes the connection when streams stay out, and never starts', async () => {
    let started = false;
    const listener = await serve(() => (started = true), 50);
    const { session } = await dial(listener.port);
    await session.openStream({ streamtype: 'error' });
    expect((await session.closed).kind).toBe('lost');
    expect(started).toBe(false);
    await listener.close(0);
  });

  it('gotcha 37: refuses streams beyond the set while the session goes on', async () => {
    const release = deferred<void>();
    const listener = await listen({
      onRequest: (_request, response) => response.end(),
      onUpgrade: (request, socket, head) => {
        void serveRemoteCommand({ request, socket, head }, allStreams, async ({ stdout }) => {
          await release.promise;
          stdout?.write('still here');
          return exited(0);
        });
      },
    });
    const { session, protocol } = await dial(listener.port);
    const command = runRemoteCommand(await openStreamSet(session, protocol, allStreams));
    command.stderr?.resume();
    await expect(session.openStream({ streamtype: 'stdout' })).rejects.toMatchObject({ code: 'ERR_STREAM_REFUSED' });
    await expect(session.openStream({ streamtype: 'resize' })).rejects.toMatchObject({ code: 'ERR_STREAM_REFUSED' });
    release.resolve();
    expect(await textOf(command.stdout)).toBe('still here');
    expect(await command.completed).toEqual(exited(0));
    await listener.close(0);
  });
});

describe('the translator', () => {
  it('gotcha 58, 62: takes v5 where v4 is offered too, and tells what fails after the 101 on channel 3', async () => {
    const listener = await listen({
      onRequest: (_request, response) => response.end(),
      onUpgrade: (request, socket, head) => {
        void translateStreams({ request, socket, head }, allStreams, async () => {
          throw new ExecPathError('ERR_UPGRADE_REFUSED', 'unable to upgrade connection: container not found ("x")');
        });
      },
    });
    const socket = connect(listener.port, listener.host);
    await once(socket, 'connect');
    const protocols = ['v4.channel.k8s.io', 'v5.channel.k8s.io'];
    const session = await openChannels(socket, { path: '/', host: 'test', protocols });
    expect(session.protocol).toBe('v5.channel.k8s.io');
    const command = runRemoteCommand(channelStreamSet(session, allStreams));
    command.stdout?.resume();
    command.stderr?.resume();
    expect(await command.completed).toMatchObject({
      kind: 'failed',
      message: 'Internal error occurred: unable to upgrade connection: container not found ("x")',
    });
    expect(await session.closed).toEqual({ kind: 'clean', by: 'remote' });
    await listener.close(0);
  });
});
