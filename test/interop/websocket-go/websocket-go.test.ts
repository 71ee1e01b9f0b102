import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { subprotocols, webSocketAccept } from '../../../src/common/subprotocols.ts';
import {
  acceptByteStream,
  acceptChannels,
  type ChannelSession,
  openChannels,
} from '../../../src/httpstream/websocket/index.ts';
import { BackgroundChild, type ChildOptions, type ChildResult, mustRun, runChild } from '../../support/child.ts';
import { findProgram } from '../../support/peer.ts';
import { readAll } from '../../support/read-all.ts';
import { UpgradeServer } from '../../support/websocket-pair.ts';

const go = findProgram('go');
const MIB = 1024 * 1024;
const success = '{"metadata":{},"status":"Success"}';
const exitCode3 = JSON.stringify({
  metadata: {},
  status: 'Failure',
  message: 'command terminated with non-zero exit code: command terminated with exit code 3',
  reason: 'NonZeroExitCode',
  details: { causes: [{ reason: 'ExitCode', message: '3' }] },
});
const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe.skipIf(go === undefined)(`Kubernetes' own Go code${go === undefined ? ' (skipped: no go)' : ''}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-websocket-'));
  const peer = join(folder, 'peer');

  beforeAll(async () => {
    await mustRun(go as string, ['build', '-o', peer, '.'], { cwd: import.meta.dirname, deadlineMs: 110_000 });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  describe('client-go as the client of our server', () => {
    /** Runs client-go's exec against a server that serves one session with `handle`. */
    async function exec(
      handle: (session: ChannelSession) => Promise<void>,
      options: ChildOptions & { readonly protocols?: readonly string[] } = {},
    ): Promise<{ result: ChildResult; session: ChannelSession | undefined }> {
      let session: ChannelSession | undefined;
      let handled: Promise<void> | undefined;
      await using server = await UpgradeServer.listen((request, socket, head) => {
        session = acceptChannels(request, socket, head, {
          protocols: webSocketAccept,
          readable: [0, 4],
          writable: [1, 2, 3],
        });
        if (session !== undefined) handled = handle(session);
      });
      const { protocols = [], ...child } = options;
      const result = await runChild(peer, ['exec', `http://127.0.0.1:${server.port}/exec`, ...protocols], child);
      await handled;
      return { result, session };
    }

    it('echoes 32 MiB and ends with Success', async () => {
      const stdin = randomBytes(32 * MIB);
      const { result, session } = await exec(
        async (session) => {
          await pipeline(session.channel(0), session.channel(1));
          session.channel(3).end(success);
          await session.close();
        },
        { stdin },
      );
      expect(result.stderr.toString()).toBe('');
      expect(result.exitCode).toBe(0);
      expect(hash(result.stdout)).toBe(hash(stdin));
      expect(session?.protocol).toBe(subprotocols.v5);
      expect(await session?.closed).toEqual({ kind: 'clean', by: 'local' });
    });

    it('separates stderr and reads an exit code behind all output', async () => {
      const { result } = await exec(async (session) => {
        session.channel(1).end(Buffer.alloc(4 * MIB, 'o'));
        session.channel(2).end(Buffer.alloc(MIB, 'e'));
        await Promise.all([once(session.channel(1), 'finish'), once(session.channel(2), 'finish')]);
        session.channel(3).end(exitCode3);
        await session.close();
      });
      expect(result.stdout.length).toBe(4 * MIB);
      expect(result.stderr.subarray(0, MIB).every((byte) => byte === 0x65)).toBe(true);
      expect(result.stderr.subarray(MIB).toString()).toBe('command terminated with exit code 3\n');
      expect(result.exitCode).toBe(1);
    });

    it('reads the close of a failed session as a failure', async () => {
      const { result, session } = await exec(async (session) => {
        session.channel(1).write('partial');
        await once(session.channel(0).resume(), 'end');
        session.destroy(new Error('the node is gone'));
      });
      expect(result.exitCode).toBe(1);
      expect(result.stderr.toString()).toContain('close 1001 (going away)');
      expect(result.stderr.toString()).toContain('the node is gone');
      expect(await session?.closed).toMatchObject({ kind: 'lost' });
    });

    it('gets the bare 403 as a failed upgrade', async () => {
      const { result, session } = await exec(() => Promise.resolve(), { protocols: ['v3.channel.k8s.io'] });
      expect(result.stderr.toString()).toContain('unable to upgrade streaming request');
      expect(result.stderr.toString()).toContain('bad handshake (403 Forbidden)');
      expect(session).toBeUndefined();
    });

    it('speaks v4 too', async () => {
      const { result } = await exec(
        async (session) => {
          const [chunk] = (await once(session.channel(0), 'data')) as [Buffer];
          session.channel(1).end(chunk);
          session.channel(3).end(success);
          await session.close();
        },
        { stdin: Buffer.from('hi\n'), protocols: [subprotocols.v4] },
      );
      expect(result.stdout.toString()).toBe('hi\n');
      expect(result.exitCode).toBe(0);
    });

    it('gotcha 85: tunnels bytes through our byte stream', async () => {
      await using server = await UpgradeServer.listen((request, socket, head) => {
        const stream = acceptByteStream(request, socket, head, { protocol: subprotocols.portForwardTunnel });
        stream?.pipe(stream);
      });
      const printed = await mustRun(peer, ['tunnel', `ws://127.0.0.1:${server.port}/`, String(8 * MIB)]);
      expect(printed).toBe(`${8 * MIB}\n`);
    });
  });

  describe('as servers of our client', () => {
    let server: BackgroundChild;
    let port: number;

    beforeAll(async () => {
      server = new BackgroundChild(peer, ['serve']);
      port = Number((await server.waitForLog(/listening (\d+)/))[1]);
    });
    afterAll(() => server.stop());

    async function open(path: string, protocols: readonly string[]): Promise<ChannelSession> {
      const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
      await once(socket, 'connect');
      return openChannels(socket, { path, host: `127.0.0.1:${port}`, protocols, pingIntervalMs: 2 });
    }

    it.each([
      [subprotocols.v5],
      [subprotocols.v4],
      [subprotocols.v4Base64],
      [subprotocols.v1],
      [subprotocols.v1Base64],
    ])('wsstream echoes 4 MiB over %s, each of our messages one frame', async (protocol) => {
      const stdin = randomBytes(4 * MIB);
      await using session = await open(`/wsstream?bytes=${stdin.length}`, [protocol]);
      expect(session.protocol).toBe(protocol);
      const stdout = readAll(session.channel(1));
      const status = readAll(session.channel(3));
      session.channel(0).end(stdin);
      expect(hash(await stdout)).toBe(hash(stdin));
      expect((await status).toString()).toBe(success);
      expect(await session.closed).toEqual({ kind: 'clean', by: 'remote' });
    });

    it('gotcha 51: wsstream closes right behind its Close frame, and our PINGs do not cost us the tail', async () => {
      for (let round = 0; round < 20; round += 1) {
        await using session = await open('/wsstream', [subprotocols.v5]);
        const stdout = readAll(session.channel(1));
        session.channel(0).end(Buffer.alloc(MIB));
        expect((await stdout).length).toBe(MIB);
        expect(await session.closed).toEqual({ kind: 'clean', by: 'remote' });
      }
    });

    it('gotcha 57: wsstream answers no subprotocol with an empty header, which we take', async () => {
      await using session = await open('/wsstream?bytes=3', []);
      expect(session.protocol).toBe('');
      const stdout = readAll(session.channel(1));
      session.channel(0).write('hi\n');
      expect((await stdout).toString()).toBe('hi\n');
    });

    it('gotcha 59: wsstream refuses v2 and v3 with a bare 403', async () => {
      await expect(open('/wsstream', ['v3.channel.k8s.io', 'v2.channel.k8s.io'])).rejects.toMatchObject({
        code: 'ERR_UPGRADE_REFUSED',
        httpStatus: 403,
        body: '',
      });
    });

    it('gotcha 48: gorilla echoes 4 MiB in fragments with PINGs between', async () => {
      const stdin = randomBytes(4 * MIB);
      await using session = await open('/gorilla', [subprotocols.v5]);
      const stdout = readAll(session.channel(1));
      const status = readAll(session.channel(3));
      session.channel(0).end(stdin);
      expect(hash(await stdout)).toBe(hash(stdin));
      expect((await status).toString()).toBe(success);
      expect(await session.closed).toEqual({ kind: 'clean', by: 'remote' });
    });
  });
});
