import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ExecServer, type ExecServerOptions, podOf } from '../../test/support/exec-server.ts';
import { readAll } from '../../test/support/read-all.ts';
import { TcpProxy } from '../../test/support/tcp-proxy.ts';
import { deferred } from '../common/deferred.ts';
import { ExecPathError } from '../common/errors.ts';
import { exited, failed } from '../common/outcome.ts';
import type { ServerSession } from '../remotecommand/index.ts';
import { type ExecOptions, type ExecSession, exec } from './index.ts';

const cleanups: AsyncDisposable[] = [];
afterEach(async () => {
  for (const item of cleanups.splice(0).toReversed()) await item[Symbol.asyncDispose]();
});

async function start(options: ExecServerOptions = {}): Promise<ExecServer> {
  const server = await ExecServer.start(options);
  cleanups.push(server);
  return server;
}

const basics = { pod: 'web', container: 'main', command: ['true'] } as const;

function drained(session: ExecSession): ExecSession {
  session.stdout?.resume();
  session.stderr?.resume();
  return session;
}

for (const transport of ['websocket', 'spdy'] as const) {
  describe(`exec over ${transport}`, () => {
    const run = async (server: ExecServer, more: Partial<ExecOptions> = {}): Promise<ExecSession> =>
      exec({ ...basics, api: server.api(), transport, ...more });

    it('tells the exit code of the command', async () => {
      for (const code of [0, 1, 7, 126, 127, 137, 255]) {
        await using server = await ExecServer.start({ run: async () => exited(code) });
        const session = drained(await run(server));
        expect(await session.completed).toEqual(exited(code));
        await session.closed;
      }
    });

    it('keeps stdout and stderr apart and forwards stdin with its end', async () => {
      const server = await start({
        run: async ({ stdin, stdout, stderr }) => {
          stderr!.write('to stderr');
          const input = await readAll(stdin!);
          stdout!.write(Buffer.concat([Buffer.from('got '), input]));
          return exited(3);
        },
      });
      const session = await run(server, { stdin: true });
      session.stdin!.end('line');
      const [stdout, stderr] = await Promise.all([readAll(session.stdout!), readAll(session.stderr!)]);
      expect([stdout.toString(), stderr.toString()]).toEqual(['got line', 'to stderr']);
      expect(await session.completed).toEqual(exited(3));
    });

    it('carries big input and output at once', async () => {
      const server = await start({
        run: async ({ stdin, stdout }) => {
          stdin!.pipe(stdout!, { end: false });
          await once(stdin!, 'end');
          return exited(0);
        },
      });
      const session = await run(server, { stdin: true });
      const bytes = randomBytes(8 * 1024 * 1024);
      session.stdin!.end(bytes);
      session.stderr!.resume();
      const sum = createHash('sha256')
        .update(await readAll(session.stdout!))
        .digest('hex');
      expect(sum).toBe(createHash('sha256').update(bytes).digest('hex'));
      expect(await session.completed).toEqual(exited(0));
    });

    it('sends the first size before all else and later ones after it', async () => {
      const sizes = deferred<unknown[]>();
      const server = await start({
        run: async (session) => {
          const seen: unknown[] = [];
          session.onResize((size) => {
            seen.push(size);
            if (seen.length === 2) sizes.resolve(seen);
          });
          await sizes.promise;
          return exited(0);
        },
      });
      const session = await run(server, { tty: true, stdin: true, size: { width: 80, height: 24 } });
      expect(session.stderr).toBeUndefined();
      session.resize({ width: 100, height: 30 });
      drained(session);
      expect(await sizes.promise).toEqual([
        { width: 80, height: 24 },
        { width: 100, height: 30 },
      ]);
      expect(await session.completed).toEqual(exited(0));
    });

    it('ends with the command though nobody ends its stdin', async () => {
      const server = await start({ run: async () => exited(5) });
      const session = drained(await run(server, { stdin: true }));
      session.stdin!.write(Buffer.alloc(1024 * 1024));
      expect(await session.completed).toEqual(exited(5));
      await session.closed;
    });

    it('fails with ERR_ABORTED when its signal aborts, and the server learns that the client left', async () => {
      const gone = deferred<undefined>();
      const began = deferred<undefined>();
      const server = await start({
        run: async ({ signal }) => {
          signal.addEventListener('abort', () => gone.resolve(undefined));
          began.resolve(undefined);
          await gone.promise;
          return exited(0);
        },
      });
      const control = new AbortController();
      const session = drained(await run(server, { signal: control.signal }));
      await began.promise;
      control.abort();
      expect(await session.completed).toMatchObject({ kind: 'failed', code: 'ERR_ABORTED', hop: 'client' });
      await gone.promise;
    });

    it('gotcha 28: fails at the hop that it talked to when the connection is lost without a Status', async () => {
      const began = deferred<ServerSession>();
      const server = await start({
        run: async (session) => {
          session.stdout!.write('some output');
          began.resolve(session);
          return new Promise(() => {});
        },
      });
      const relay = await TcpProxy.start({ host: '127.0.0.1', port: server.port });
      cleanups.push(relay);
      const session = drained(await exec({ ...basics, api: server.api(relay.port), transport }));
      await began.promise;
      relay.resetAll();
      expect(await session.completed).toMatchObject({ kind: 'failed', code: 'ERR_CONNECTION_LOST', hop: 'apiserver' });
    });

    it('fails within the keepalive deadline when the way to the server stalls', async () => {
      const began = deferred<undefined>();
      const server = await start({
        run: async () => {
          began.resolve(undefined);
          return new Promise(() => {});
        },
      });
      const relay = await TcpProxy.start({ host: '127.0.0.1', port: server.port });
      cleanups.push(relay);
      const deadlines = { pingIntervalMs: 50, keepaliveTimeoutMs: 400 };
      const session = drained(await exec({ ...basics, api: server.api(relay.port), transport, ...deadlines }));
      await began.promise;
      relay.freeze();
      expect(await session.completed).toMatchObject({
        kind: 'failed',
        code: 'ERR_KEEPALIVE_TIMEOUT',
        hop: 'apiserver',
      });
    });

    it('rejects within the upgrade deadline when the server never answers', async () => {
      const server = await start({ onUpgrade: () => true });
      await expect(run(server, { upgradeTimeoutMs: 200 })).rejects.toMatchObject({
        code: 'ERR_DIAL_TIMEOUT',
        hop: 'apiserver',
        message: 'the upgrade was not answered within 200 ms',
      });
      expect(server.requests).toHaveLength(1);
    });

    it('rejects with ERR_ABORTED when the signal aborts during the upgrade', async () => {
      const control = new AbortController();
      const server = await start({
        onUpgrade: () => {
          control.abort();
          return true;
        },
      });
      await expect(run(server, { signal: control.signal })).rejects.toMatchObject({ code: 'ERR_ABORTED' });
      expect(server.requests).toHaveLength(1);
    });

    it('tells the hop of a failure that came in a Status', async () => {
      const text =
        'failed to exec in container: OCI runtime exec failed: exec failed: cannot exec in a stopped container';
      const server = await start({ run: async () => failed(new ExecPathError('ERR_COMMAND_START', text)) });
      const session = drained(await run(server));
      expect(await session.completed).toMatchObject({ kind: 'failed', code: 'ERR_REMOTE', hop: 'runtime' });
    });

    it('sends its id to the server', async () => {
      const server = await start();
      const session = drained(await run(server, { sessionId: 'my-id' }));
      await session.completed;
      expect([server.headers['audit-id'], session.sessionId]).toEqual(['my-id', 'my-id']);
    });
  });
}

describe('exec', () => {
  it('asks the apiserver with sorted parameters, and only for what is true', async () => {
    const server = await start();
    const command = ['sh', '-c', 'a b&c=d+e%', 'ü', ''];
    await drained(await exec({ ...basics, api: server.api(), command })).completed;
    await drained(await exec({ ...basics, api: server.api(), command: ['sh'], tty: true, stdin: true })).completed;
    expect(server.requests).toEqual([
      'GET /api/v1/namespaces/default/pods/web/exec?command=sh&command=-c&command=a+b%26c%3Dd%2Be%25&command=%C3%BC&command=&container=main&stderr=true&stdout=true',
      'GET /api/v1/namespaces/default/pods/web/exec?command=sh&container=main&stdin=true&stdout=true&tty=true',
    ]);
  });

  it('asks a kubelet with its own path and words', async () => {
    const server = await start();
    const api = server.api(server.port, 'kubelet');
    const session = drained(await exec({ ...basics, api, command: ['ls', '-l'], stdin: true }));
    expect(await session.completed).toEqual(exited(0));
    expect(server.requests).toEqual(['GET /exec/default/web/main?command=ls&command=-l&error=1&input=1&output=1']);
  });

  it('finds the container of a pod as kubectl does, and says so', async () => {
    const notices: string[] = [];
    const onNotice = (text: string): void => void notices.push(text);
    const server = await start({ pod: podOf(['one', 'two']) });
    const session = drained(await exec({ pod: 'web', command: ['id'], api: server.api(), onNotice }));
    await session.completed;
    expect(session.container).toBe('one');
    expect(notices).toEqual(['Defaulted container "one" out of: one, two']);
  });

  it('finds the container of a pod in the list of a kubelet', async () => {
    const server = await start({ pod: podOf(['only']) });
    const api = server.api(server.port, 'kubelet');
    const session = drained(await exec({ pod: 'web', command: ['id'], api }));
    await session.completed;
    expect(session.container).toBe('only');
    await expect(exec({ pod: 'other', command: ['id'], api })).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      hop: 'kubelet',
    });
  });

  it('rejects an empty command and a name that would change the path', async () => {
    const server = await start();
    const api = server.api();
    await expect(exec({ ...basics, api, command: [] })).rejects.toMatchObject({
      code: 'ERR_BAD_REQUEST',
      hop: 'client',
    });
    await expect(exec({ ...basics, api, pod: '../nodes' })).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST' });
    const kubelet = server.api(server.port, 'kubelet');
    await expect(exec({ ...basics, api: kubelet, pod: '..' })).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST' });
    expect(server.requests).toEqual([]);
  });

  it('is disposed of with its connection', async () => {
    const server = await start({ run: () => new Promise(() => {}) });
    const session = drained(await exec({ ...basics, api: server.api() }));
    await session[Symbol.asyncDispose]();
    expect(await session.completed).toMatchObject({ kind: 'failed', code: 'ERR_ABORTED' });
  });

  it('reads from a server whose address is dead: ERR_DIAL at that hop', async () => {
    const server = await ExecServer.start();
    const api = server.api();
    await server[Symbol.asyncDispose]();
    await expect(exec({ ...basics, api })).rejects.toMatchObject({ code: 'ERR_DIAL', hop: 'apiserver' });
    const probe = connect(server.port, '127.0.0.1');
    await once(probe, 'error');
  });
});
