import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { StreamOptions } from '../../src/common/channels.ts';
import { deferred } from '../../src/common/deferred.ts';
import { ExecPathError } from '../../src/common/errors.ts';
import { exited, failed, type Outcome } from '../../src/common/outcome.ts';
import { dialSpdy, listen, openChannels } from '../../src/httpstream/index.ts';
import {
  channelStreamSet,
  openStreamSet,
  type RemoteCommand,
  type RunCommand,
  runRemoteCommand,
  type ServeOptions,
  serveRemoteCommand,
} from '../../src/remotecommand/index.ts';

/** A server that runs `run` for each session, and a client that opens one. */
export interface RemoteCommandPair extends AsyncDisposable {
  open(options: StreamOptions): Promise<RemoteCommand>;
  /** What the server made of its last session. */
  readonly served: Promise<Outcome | undefined>;
}

export interface Transport {
  readonly kind: 'spdy' | 'websocket';
  readonly protocol: string;
}

/** Titles of behaviours that a transport cannot have, each with its reason. */
export type Exceptions = Readonly<Record<string, string>>;

export async function startPair(
  transport: Transport,
  options: StreamOptions,
  run: RunCommand,
  serveOptions: ServeOptions = {},
): Promise<RemoteCommandPair> {
  const served = deferred<Outcome | undefined>();
  const listener = await listen({
    onRequest: (_request, response) => response.writeHead(400).end(),
    onUpgrade: (request, socket, head) => {
      void serveRemoteCommand({ request, socket, head }, options, run, serveOptions).then(served.resolve);
    },
  });
  return {
    served: served.promise,
    open: async (asked) => {
      const socket = connect(listener.port, listener.host);
      await once(socket, 'connect');
      if (transport.kind === 'spdy') {
        const request = {
          path: '/',
          headers: [['Host', 'test']] as [string, string][],
          protocols: [transport.protocol],
        };
        const { session, protocol } = await dialSpdy(socket, request);
        return runRemoteCommand(await openStreamSet(session, protocol, asked));
      }
      const protocols = transport.protocol === '' ? [] : [transport.protocol];
      const session = await openChannels(socket, { path: '/', host: 'test', protocols });
      return runRemoteCommand(channelStreamSet(session, asked));
    },
    [Symbol.asyncDispose]: () => listener.close(0),
  };
}

export const allStreams: StreamOptions = { stdin: true, stdout: true, stderr: true, tty: false };

export async function textOf(stream: Readable | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  if (stream !== undefined && !stream.readableEnded && !stream.closed) {
    await new Promise((resolve) => stream.once('end', resolve).once('close', resolve));
  }
  return Buffer.concat(chunks).toString();
}

/** What every version of exec must do over every transport. */
export function remoteCommandCompliance(transport: Transport, except: Exceptions = {}): void {
  const behaviour = (title: string, body: () => Promise<void>): void => {
    it.skipIf(title in except)(title, body);
  };

  describe(`remotecommand over ${transport.kind} ${transport.protocol || '(none)'}`, () => {
    behaviour('tells every exit code from 0 to 255', async () => {
      for (const code of [0, 1, 7, 126, 127, 137, 255]) {
        await using pair = await startPair(transport, allStreams, async () => exited(code));
        const command = await pair.open(allStreams);
        command.stdout?.resume();
        command.stderr?.resume();
        expect(await command.completed).toEqual(exited(code));
        expect(await pair.served).toEqual(exited(code));
      }
    });

    behaviour('tells success', async () => {
      await using pair = await startPair(transport, allStreams, async () => exited(0));
      const command = await pair.open(allStreams);
      command.stdout?.resume();
      command.stderr?.resume();
      expect(await command.completed).toEqual(exited(0));
    });

    behaviour('tells why a command could not be run', async () => {
      await using pair = await startPair(transport, allStreams, async () =>
        failed(new ExecPathError('ERR_DIAL', 'no such container')),
      );
      const command = await pair.open(allStreams);
      command.stdout?.resume();
      command.stderr?.resume();
      const outcome = await command.completed;
      expect(outcome).toMatchObject({ kind: 'failed', message: expect.stringContaining('no such container') });
    });

    behaviour('keeps stdout and stderr apart and whole', async () => {
      await using pair = await startPair(transport, allStreams, async ({ stdout, stderr }) => {
        for (let line = 0; line < 1000; line += 1) {
          stdout?.write(`out ${line}\n`);
          stderr?.write(`err ${line}\n`);
        }
        return exited(0);
      });
      const command = await pair.open(allStreams);
      const [out, err] = await Promise.all([textOf(command.stdout), textOf(command.stderr)]);
      expect(await command.completed).toEqual(exited(0));
      expect(out).toBe(Array.from({ length: 1000 }, (_, line) => `out ${line}\n`).join(''));
      expect(err).toBe(Array.from({ length: 1000 }, (_, line) => `err ${line}\n`).join(''));
    });

    behaviour('gotcha 39, 40: ends stdin and goes on with output', async () => {
      await using pair = await startPair(transport, allStreams, async ({ stdin, stdout }) => {
        const text = await textOf(stdin);
        stdout?.write(`got ${text}`);
        return exited(0);
      });
      const command = await pair.open(allStreams);
      command.stderr?.resume();
      command.stdin?.end('three words here');
      expect(await textOf(command.stdout)).toBe('got three words here');
      expect(await command.completed).toEqual(exited(0));
    });

    behaviour('gotcha 56: carries every byte value both ways', async () => {
      const bytes = Buffer.concat([
        Buffer.from(Array.from({ length: 256 }, (_, value) => value)),
        randomBytes(1_000_000),
      ]);
      await using pair = await startPair(transport, allStreams, async ({ stdin, stdout }) => {
        let left = bytes.length;
        await new Promise<void>((resolve) => {
          stdin?.on('data', (chunk: Buffer) => {
            left -= chunk.length;
            if (stdout?.write(chunk) === false) {
              stdin.pause();
              stdout.once('drain', () => stdin.resume());
            }
            if (left === 0) resolve();
          });
        });
        return exited(0);
      });
      const command = await pair.open(allStreams);
      command.stderr?.resume();
      const hash = createHash('sha256');
      command.stdout?.on('data', (chunk: Buffer) => hash.update(chunk));
      command.stdin?.write(bytes);
      expect(await command.completed).toEqual(exited(0));
      expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
    });

    behaviour('has its outcome though nobody reads an output that stays empty', async () => {
      await using pair = await startPair(transport, allStreams, async ({ stdout }) => {
        stdout?.write('only stdout');
        return exited(0);
      });
      const command = await pair.open(allStreams);
      expect(await textOf(command.stdout)).toBe('only stdout');
      expect(await command.completed).toEqual(exited(0));
    });

    behaviour('passes terminal sizes on', async () => {
      const tty = { stdin: true, stdout: true, stderr: false, tty: true };
      await using pair = await startPair(transport, tty, async (session) => {
        const sizes: string[] = [];
        await new Promise<void>((resolve) => {
          session.onResize(({ width, height }) => {
            sizes.push(`${width}x${height}`);
            if (sizes.length === 2) resolve();
          });
        });
        session.stdout?.write(sizes.join(' '));
        return exited(0);
      });
      const command = await pair.open(tty);
      command.resize({ width: 80, height: 24 });
      command.resize({ width: 132, height: 43 });
      expect(await textOf(command.stdout)).toBe('80x24 132x43');
      expect(await command.completed).toEqual(exited(0));
    });

    behaviour('gotcha 78: tells the command when the client leaves', async () => {
      const told = deferred<void>();
      await using pair = await startPair(transport, allStreams, async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        told.resolve();
        return failed(new ExecPathError('ERR_CONNECTION_LOST', 'the client left'));
      });
      const command = await pair.open(allStreams);
      command.abort();
      await told.promise;
      expect(await command.completed).toMatchObject({ kind: 'failed', code: 'ERR_ABORTED' });
    });

    behaviour('gotcha 54: a reader that stops, stops the writer and loses nothing', async () => {
      const total = 32 * 1024 * 1024;
      let written = 0;
      const stalled = deferred<void>();
      await using pair = await startPair(transport, allStreams, async ({ stdout }) => {
        const block = Buffer.alloc(64 * 1024, 7);
        while (written < total) {
          written += block.length;
          if (stdout?.write(block) === false) {
            setTimeout(stalled.resolve, 100);
            await once(stdout, 'drain');
          }
        }
        return exited(0);
      });
      const command = await pair.open(allStreams);
      command.stderr?.resume();
      await stalled.promise;
      expect(written).toBeLessThan(total);
      let received = 0;
      command.stdout?.on('data', (chunk: Buffer) => {
        received += chunk.length;
      });
      expect(await command.completed).toEqual(exited(0));
      expect(received).toBe(total);
    });

    behaviour('has no outcome but failure when the server vanishes', async () => {
      await using pair = await startPair(transport, allStreams, async ({ stdout }) => {
        stdout?.write('half of the out');
        await new Promise(() => {});
        return exited(0);
      });
      const command = await pair.open(allStreams);
      command.stderr?.resume();
      const first = deferred<void>();
      command.stdout?.on('data', () => first.resolve());
      await first.promise;
      await pair[Symbol.asyncDispose]();
      expect((await command.completed).kind).toBe('failed');
    });
  });
}
