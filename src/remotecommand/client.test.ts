import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { duplexPair } from '../../test/support/duplex-pair.ts';
import { SpdyPair } from '../../test/support/spdy-pair.ts';
import { ChannelSession, type SpdyStream } from '../httpstream/index.ts';
import { type RemoteCommand, type RemoteCommandOptions, runRemoteCommand } from './client.ts';
import { OUTPUT_END_TIMEOUT_MS } from './late-output.ts';
import { channelStreamSet, openStreamSet } from './stream-set.ts';

const options = { stdin: false, stdout: true, stderr: false, tty: false };
const SUCCESS = '{"metadata":{},"status":"Success"}';

interface Served extends AsyncDisposable {
  readonly command: RemoteCommand;
  readonly error: SpdyStream;
  readonly stdout: SpdyStream;
  readonly pair: SpdyPair;
}

/** A client over SPDY v4, and the server's ends of its streams. */
async function overSpdy(clientOptions: RemoteCommandOptions = {}): Promise<Served> {
  const pair = new SpdyPair();
  const opening = openStreamSet(pair.client, 'v4.channel.k8s.io', options);
  const error = (await pair.incoming()).accept();
  const stdout = (await pair.incoming()).accept();
  const command = runRemoteCommand(await opening, clientOptions);
  return { command, error, stdout, pair, [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose]() };
}

const write = (stream: SpdyStream, text: string): Promise<void> =>
  new Promise((resolve) => stream.write(text, () => resolve()));
const end = (stream: SpdyStream, text: string): Promise<void> =>
  new Promise((resolve) => stream.end(text, () => resolve()));

async function textOf(stream: Readable | undefined): Promise<string> {
  let text = '';
  stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  if (stream !== undefined) await once(stream, 'end');
  return text;
}

afterEach(() => {
  vi.useRealTimers();
});

describe('the outcome of a command over SPDY', () => {
  it('is no exit code when the connection was lost behind the Status and before the end of the output', async () => {
    await using served = await overSpdy();
    const text = textOf(served.command.stdout);
    await end(served.error, SUCCESS);
    await write(served.stdout, 'half of the out');
    served.pair.server.destroy();
    expect(await text).toBe('half of the out');
    expect(await served.command.completed).toMatchObject({
      kind: 'failed',
      code: 'ERR_CONNECTION_LOST',
      message: expect.stringContaining('the command exited with code 0, but its output was cut short'),
    });
  });

  it('is the exit code when output and Status are whole and the goodbye is lost', async () => {
    await using served = await overSpdy();
    const text = textOf(served.command.stdout);
    await end(served.stdout, 'all of the output');
    await end(served.error, SUCCESS);
    served.pair.server.destroy();
    expect(await text).toBe('all of the output');
    expect(await served.command.completed).toEqual({ kind: 'exited', code: 0 });
  });

  it('is the exit code for a reader that is still reading when the connection is lost', async () => {
    await using served = await overSpdy();
    await end(served.stdout, 'x'.repeat(50_000));
    await end(served.error, SUCCESS);
    served.pair.server.destroy();
    await served.command.closed;
    expect(await textOf(served.command.stdout)).toHaveLength(50_000);
    expect(await served.command.completed).toEqual({ kind: 'exited', code: 0 });
  });

  it('is the exit code when the streams end by RST_STREAM and GOAWAY, as they do with some runtimes', async () => {
    await using served = await overSpdy();
    const text = textOf(served.command.stdout);
    await write(served.stdout, 'all of the output');
    await write(served.error, SUCCESS);
    void served.pair.server.close();
    expect(await text).toBe('all of the output');
    expect(await served.command.completed).toEqual({ kind: 'exited', code: 0 });
  });

  it('is a failure when the server gives its Status and then leaves the output open', async () => {
    await using served = await overSpdy({ outputEndTimeoutMs: 50 });
    served.command.stdout?.resume();
    await end(served.error, SUCCESS);
    expect(await served.command.completed).toMatchObject({
      kind: 'failed',
      code: 'ERR_OUTPUT_OPEN',
      message: expect.stringContaining('held stdout open for 50 ms without a byte') as string,
    });
    await served.command.closed;
  });

  it('waits for a reader that is behind when the Status comes, for as long as it takes', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    await using served = await overSpdy();
    await write(served.stdout, 'all of the output');
    await end(served.error, SUCCESS);
    await end(served.stdout, '');
    await vi.waitUntil(() => vi.getTimerCount() > 0);
    await vi.advanceTimersByTimeAsync(10 * OUTPUT_END_TIMEOUT_MS);
    expect(await textOf(served.command.stdout)).toBe('all of the output');
    expect(await served.command.completed).toEqual({ kind: 'exited', code: 0 });
  });

  it('is a failure when the Status is cut', async () => {
    await using served = await overSpdy();
    served.command.stdout?.resume();
    served.stdout.end();
    await write(served.error, SUCCESS.slice(0, -1));
    served.pair.server.destroy();
    expect(await served.command.completed).toMatchObject({ kind: 'failed', code: 'ERR_STATUS_MALFORMED' });
  });

  it('is a failure when the session ends well and without a Status', async () => {
    await using served = await overSpdy();
    served.command.stdout?.resume();
    served.stdout.end();
    served.error.end();
    void served.pair.server.close();
    expect(await served.command.completed).toMatchObject({ kind: 'failed', code: 'ERR_NO_STATUS' });
  });
});

describe('the outcome of a command over WebSocket', () => {
  it('is the exit code when the connection is lost behind the Status, for messages are in order', async () => {
    const [near, far] = duplexPair();
    const protocol = 'v5.channel.k8s.io';
    const session = new ChannelSession(near, { role: 'client', protocol, readable: [1, 2, 3], writable: [0, 4] });
    const server = new ChannelSession(far, { role: 'server', protocol, readable: [0, 4], writable: [1, 2, 3] });
    const command = runRemoteCommand(channelStreamSet(session, options));
    const text: string[] = [];
    command.stdout?.on('data', (chunk: Buffer) => text.push(chunk.toString()));
    server.channel(1).write('all of the output');
    await new Promise<void>((resolve) => server.channel(3).write(SUCCESS, () => resolve()));
    server.destroy();
    expect(await command.completed).toEqual({ kind: 'exited', code: 0 });
    expect(text.join('')).toBe('all of the output');
  });
});
