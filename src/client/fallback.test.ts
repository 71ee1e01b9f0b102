import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { ExecServer, type ExecServerOptions } from '../../test/support/exec-server.ts';
import { ExecPathError, UpgradeError } from '../common/errors.ts';
import { exited, failed } from '../common/outcome.ts';
import { createTransport } from '../kubeapi/index.ts';
import { type ExecOptions, exec, mayFallBack } from './index.ts';

let server: ExecServer;
afterEach(() => server[Symbol.asyncDispose]());

async function start(options: ExecServerOptions): Promise<void> {
  server = await ExecServer.start(options);
}

const run = (more: Partial<ExecOptions> = {}): ReturnType<typeof exec> =>
  exec({ pod: 'web', container: 'main', command: ['true'], api: server.api(), ...more });

/** The methods of all upgrades so far: GET is WebSocket, POST is SPDY. */
const methods = (): string[] => server.requests.map((line) => line.split(' ')[0]!);

const isWebSocket = (request: IncomingMessage): boolean => request.headers.upgrade === 'websocket';

/** Answers WebSockets with `text`, and leaves SPDY to the server. */
const answerWebSocket =
  (text: string) =>
  (request: IncomingMessage, socket: Duplex): boolean => {
    if (isWebSocket(request)) socket.end(text.replaceAll('\n', '\r\n'));
    return isWebSocket(request);
  };

const plain = (status: number, body = 'text'): string =>
  `HTTP/1.1 ${status} Any\nContent-Length: ${Buffer.byteLength(body)}\nConnection: close\n\n${body}`;

const status = (code: number, reason: string, message: string): string =>
  plain(code, JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message, reason, code }));

describe('gotcha 63: a WebSocket that got an answer without its handshake', () => {
  it.each([
    ...[200, 302, 400, 403, 404, 405, 426, 429, 500, 502, 503].map((code) => [String(code), plain(code)]),
    [
      'a 101 with a wrong Sec-WebSocket-Accept',
      'HTTP/1.1 101 Ok\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: no\n\n',
    ],
    ['a 101 to something else', 'HTTP/1.1 101 Ok\nUpgrade: SPDY/3.1\nConnection: Upgrade\n\n'],
  ])('is followed by one try over SPDY after %s', async (_name, answer) => {
    await start({ onUpgrade: answerWebSocket(answer), run: async () => exited(4) });
    const session = await run();
    session.stdout?.resume();
    session.stderr?.resume();
    expect([session.transport, session.protocol]).toEqual(['spdy', 'v4.channel.k8s.io']);
    expect(await session.completed).toEqual(exited(4));
    expect(methods()).toEqual(['GET', 'POST']);
  });

  it('is not followed by another try when SPDY is not wanted', async () => {
    await start({ onUpgrade: answerWebSocket(plain(403)) });
    await expect(run({ transport: 'websocket' })).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' });
    expect(methods()).toEqual(['GET']);
  });

  it('is not tried at all when only SPDY is wanted', async () => {
    await start({});
    const session = await run({ transport: 'spdy' });
    session.stdout?.resume();
    session.stderr?.resume();
    await session.completed;
    expect(methods()).toEqual(['POST']);
  });
});

describe('gotcha 63: no second try', () => {
  it.each([
    ['a connection that is closed before the answer', ''],
    ['an answer that is not HTTP', 'SSH-2.0-OpenSSH_9.2\n\n'],
  ])('follows %s', async (_name, answer) => {
    await start({ onUpgrade: answerWebSocket(answer) });
    await expect(run()).rejects.toMatchObject({ hop: 'apiserver' });
    expect(methods()).toEqual(['GET']);
  });

  it('follows a refused connection', async () => {
    await start({});
    const api = server.api();
    await server[Symbol.asyncDispose]();
    await expect(run({ api })).rejects.toMatchObject({ code: 'ERR_DIAL', hop: 'apiserver' });
    expect(methods()).toEqual([]);
  });

  it('follows a failure that came after the 101 (gotcha 62)', async () => {
    await start({ run: async () => failed(new ExecPathError('ERR_DIAL', 'error dialing backend: refused')) });
    const session = await run();
    session.stdout?.resume();
    session.stderr?.resume();
    expect(await session.completed).toMatchObject({ kind: 'failed', code: 'ERR_REMOTE', hop: 'kubelet' });
    expect(methods()).toEqual(['GET']);
  });
});

describe('a refusal', () => {
  const refuse =
    (webSocket: string, spdy: string) =>
    (request: IncomingMessage, socket: Duplex): boolean => {
      socket.end((isWebSocket(request) ? webSocket : spdy).replaceAll('\n', '\r\n'));
      return true;
    };

  it('is told by the answer to SPDY, the Status decoded', async () => {
    const forbidden = status(403, 'Forbidden', 'pods "web" is forbidden');
    await start({ onUpgrade: refuse(plain(400, 'no WebSocket here'), forbidden) });
    await expect(run()).rejects.toMatchObject({
      code: 'ERR_FORBIDDEN',
      reason: 'Forbidden',
      message: 'pods "web" is forbidden',
      hop: 'apiserver',
    });
  });

  it('gotcha 64: is told whole, though its Status is long', async () => {
    const message = `pods "web" is forbidden: ${'long '.repeat(1024)}end`;
    await start({ onUpgrade: refuse(status(403, 'Forbidden', message), status(403, 'Forbidden', message)) });
    await expect(run()).rejects.toMatchObject({ message });
  });

  it.each([
    ['container not found ("main")', 'kubelet', 'ERR_UPGRADE_REFUSED', 500],
    ['pod does not exist', 'kubelet', 'ERR_NOT_FOUND', 404],
    ['rpc error: code = Unknown desc = no', 'runtime', 'ERR_UPGRADE_REFUSED', 500],
  ])('in plain text through an apiserver is placed by its words: %s', async (text, hop, code, http) => {
    await start({ onUpgrade: refuse(plain(http, text), plain(http, text)) });
    await expect(run()).rejects.toMatchObject({ hop, code, message: expect.stringContaining(text) as unknown });
  });

  it('never follows a redirect, and says where it led', async () => {
    const redirect = 'HTTP/1.1 302 Found\nLocation: http://127.0.0.1:1/\nContent-Length: 0\n\n';
    await start({ onUpgrade: refuse(redirect, redirect) });
    await expect(run()).rejects.toThrow('to "http://127.0.0.1:1/"; redirects are never followed');
    expect(methods()).toEqual(['GET', 'POST']);
  });

  it('of a token is followed by one try with the token that has come since', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'podwire-token-'));
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, 'old');
    try {
      await start({
        onUpgrade: (request, socket) => {
          const isOld = request.headers.authorization === 'Bearer old';
          if (isOld) {
            void writeFile(tokenFile, 'new').then(() =>
              socket.end(status(401, 'Unauthorized', 'Unauthorized').replaceAll('\n', '\r\n')),
            );
          }
          return isOld;
        },
      });
      const api = createTransport({ server: new URL(server.url), tokenFile }, { env: {} });
      const session = await run({ api });
      session.stdout?.resume();
      session.stderr?.resume();
      expect(await session.completed).toEqual(exited(0));
      expect([methods(), server.headers.authorization]).toEqual([['GET', 'GET'], 'Bearer new']);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

it('falls back after an answer, never without one', async () => {
  await start({});
  const answered = (httpStatus: number): UpgradeError =>
    new UpgradeError('ERR_UPGRADE_REFUSED', 'no', { httpStatus, body: '' });
  expect([101, 200, 302, 400, 500].map((code) => mayFallBack(answered(code)))).toEqual([true, true, true, true, true]);
  expect(mayFallBack(answered(0))).toBe(false);
  expect(mayFallBack(new ExecPathError('ERR_DIAL', 'refused'))).toBe(false);
  expect(mayFallBack(new Error('any'))).toBe(false);
});
