import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ExecServer, type ExecServerOptions, podOf } from '../../test/support/exec-server.ts';
import { MemoryIo } from '../../test/support/memory-io.ts';
import { deferred } from '../common/deferred.ts';
import { exited } from '../common/outcome.ts';
import { runCli } from './index.ts';

let folder: string;
let server: ExecServer | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-shell-'));
});
afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  server = undefined;
  await rm(folder, { recursive: true });
});

const names = ['web-0', 'web-1', 'web-10'];

async function start(options: ExecServerOptions): Promise<string[]> {
  server = await ExecServer.start({ list: names.map((name) => podOf(['main'], { name })), ...options });
  return ['--kubeconfig', '/dev/null', '-s', server.url, '--history-file', join(folder, 'history')];
}

/** What runs in which pod, as the server was asked. */
const asked = (): string[] =>
  server!.requests.flatMap((line) => {
    const [, pod, query = ''] = /\/pods\/([\w-]+)\/exec\?(.*)$/.exec(line) ?? [];
    return pod === undefined ? [] : [`${pod}: ${new URLSearchParams(query).getAll('command').join(' ')}`];
  });

const lines = (...all: string[]): MemoryIo => new MemoryIo(Readable.from(all.map((line) => `${line}\n`)));

describe('podwire shell', () => {
  it('runs each line as a command of its own and leaves with the last code', async () => {
    const codes = [0, 4];
    const flags = await start({
      run: async ({ stdout, stderr }) => {
        stdout!.write('output\n');
        stderr!.write('error\n');
        return exited(codes.shift()!);
      },
    });
    const io = lines('first line', '', 'second; line');
    expect(await runCli(['shell', 'web-1', ...flags], io)).toBe(4);
    expect(asked()).toEqual(['web-1: sh -c first line', 'web-1: sh -c second; line']);
    expect([io.out.text, io.err.text]).toEqual(['output\noutput\n', 'error\nerror\nexit 4\n']);
    expect([io.listening, io.undos.size]).toEqual([0, 0]);
  });

  it('leaves at exit, with its number when it has one', async () => {
    const flags = await start({ run: async () => exited(4) });
    expect(await runCli(['shell', 'web-1', ...flags], lines('a', 'exit', 'b'))).toBe(4);
    expect(await runCli(['shell', 'web-1', ...flags], lines('a', 'exit 9', 'b'))).toBe(9);
    expect(asked()).toHaveLength(2);
  });

  it('runs a line in every pod with the labels, names each line, and sums the codes up', async () => {
    let session = 0;
    const flags = await start({
      run: async ({ stdout, stderr }) => {
        const code = session++ % 2;
        stdout!.write('one\ntw');
        stdout!.write('o\nthree');
        stderr!.write('error\n');
        return exited(code * 3);
      },
    });
    const io = lines('hostname');
    expect(await runCli(['shell', '-l', 'app=web', ...flags], io)).toBe(3);
    expect(server!.requests[0]).toContain('labelSelector=app%3Dweb');
    expect(asked().sort()).toEqual(names.map((name) => `${name}: sh -c hostname`).sort());
    const wanted = names.flatMap((name) => ['one', 'two', 'three'].map((text) => `${name.padEnd(6)} │ ${text}`));
    expect(io.out.text.trim().split('\n').sort()).toEqual(wanted.sort());
    expect(io.err.text).toMatch(/exit 0: web-\d+, web-\d+; exit 3: web-\d+\n$/);
    expect(io.err.text.match(/web-\d+ +│ error\n/g)).toHaveLength(3);
  });

  it('goes on in the other pods when one fails', async () => {
    const flags = await start({
      run: async () => exited(0),
      onUpgrade: (request, socket) => {
        const isBad = request.url?.includes('/web-1/') === true;
        if (isBad) socket.end('HTTP/1.1 500 Any\r\nContent-Length: 4\r\n\r\nlost');
        return isBad;
      },
    });
    const io = lines('true');
    expect(await runCli(['shell', '-l', 'app=web', ...flags], io)).toBe(125);
    expect(io.err.text).toContain('error: unable to upgrade connection: lost (HTTP 500)\n  where:   kubelet\n');
    expect(io.err.text).toContain('exit 0: web-0, web-10; exit 125: web-1\n');
  });

  it('is told by the first signal: the line ends, the server learns it, the prompt is left', async () => {
    const [began, gone] = [deferred<undefined>(), deferred<undefined>()];
    const flags = await start({
      run: async ({ signal }) => {
        signal.addEventListener('abort', () => gone.resolve(undefined));
        began.resolve(undefined);
        await gone.promise;
        return exited(0);
      },
    });
    const io = lines('sleep', 'never');
    const running = runCli(['shell', 'web-0', ...flags], io);
    await began.promise;
    io.signal('SIGTERM');
    expect(await running).toBe(143);
    await gone.promise;
    expect(asked()).toHaveLength(1);
  });

  it('asks for the pod before the first line, and says when it is not there', async () => {
    const flags = await start({});
    const io = lines('true');
    expect(await runCli(['shell', 'other', ...flags], io)).toBe(125);
    expect(io.err.text).toMatch(/^Error from server \(NotFound\)/);
    const none = lines('true');
    await server![Symbol.asyncDispose]();
    const noPods = await start({ list: [podOf(['main'], {}, 'Pending')] });
    expect(await runCli(['shell', '-l', 'app=web', ...noPods], none)).toBe(125);
    expect(none.err.text).toContain('no running pod in namespace default has the labels app=web');
    expect(none.inputsOpened).toBe(0);
  });

  it('keeps no history of lines that come from a pipe', async () => {
    const flags = await start({});
    await runCli(['shell', 'web-0', ...flags], lines('true'));
    await expect(readFile(join(folder, 'history'))).rejects.toThrow('ENOENT');
  });
});
