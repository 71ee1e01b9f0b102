import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kill } from 'node:process';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { deferred } from '../../src/common/deferred.ts';
import { exited } from '../../src/common/outcome.ts';
import type { ServerSession } from '../../src/remotecommand/index.ts';
import { ExecServer, podOf } from '../support/exec-server.ts';
import { describeWithPeer } from '../support/peer.ts';
import { podwireArgv } from '../support/podwire.ts';
import { processesWith } from '../support/process-table.ts';
import { Terminal } from '../support/terminal.ts';

// The local terminal under `podwire exec -it` and `podwire shell`, at a server of the test's own. Needs `npm run build`.

/** Says whether the terminal is as it was before, whatever happened to the program. */
const COMPARE = 'before=$(stty -g); "$@"; echo "code $?"; test "$before" = "$(stty -g)" && echo "as before"';

let folder: string;
let server: ExecServer;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-tty-'));
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** `podwire exec -it` in a terminal, once the server has its session. */
async function execAtTerminal(): Promise<{ terminal: Terminal; session: ServerSession; pid: number }> {
  const began = deferred<ServerSession>();
  server = await ExecServer.start({
    pod: podOf(['main']),
    run: (session) => {
      session.stdout!.write('remote output\r\n');
      began.resolve(session);
      return new Promise((resolve) => session.signal.addEventListener('abort', () => resolve(exited(0))));
    },
  });
  const marker = randomUUID();
  const argv = podwireArgv('exec', '-it', 'web', '--kubeconfig', '/dev/null', '-s', server.url, '--', marker);
  const terminal = await Terminal.start(['sh', '-c', COMPARE, 'sh', ...argv]);
  const session = await began.promise;
  await terminal.waitFor('remote output');
  const row = processesWith(marker).find(({ command }) => command.startsWith(process.execPath));
  return { terminal, session, pid: row!.pid };
}

describeWithPeer('tmux', 'podwire at a terminal', () => {
  it.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGQUIT', 131],
    ['SIGINT', 130],
  ] as const)('gives the terminal back at %s and ends with %i', async (name, code) => {
    const { terminal, session, pid } = await execAtTerminal();
    await using _terminal = terminal;
    kill(pid, name);
    await terminal.waitFor(`code ${code}\nas before`);
    expect(session.signal.aborted).toBe(true);
  });

  it('gives the terminal back when the connection is lost, and says so on lines of their own', async () => {
    const { terminal } = await execAtTerminal();
    await using _terminal = terminal;
    await server[Symbol.asyncDispose]();
    await terminal.waitFor(/^error: .*\n {2}where: {3}apiserver\n(.*\n)+code 125\nas before/m);
  });

  it('passes ctrl-C, ctrl-D, ctrl-Z and ctrl-\\ on as keys', async () => {
    const { terminal, session } = await execAtTerminal();
    await using _terminal = terminal;
    const keys: number[] = [];
    const all = deferred<undefined>();
    session.stdin!.on('data', (chunk: Buffer) => {
      keys.push(...chunk);
      if (keys.length === 4) all.resolve(undefined);
    });
    await terminal.press('C-c', 'C-d', 'C-z', 'C-\\');
    await all.promise;
    expect(keys).toEqual([3, 4, 26, 28]);
  });

  it('leaves a bare line feed to the remote terminal: the next text stands right below', async () => {
    const { terminal, session } = await execAtTerminal();
    await using _terminal = terminal;
    session.stdout!.write('above\nbelow');
    await terminal.waitFor('above\n     below');
  });

  it('sends the size at once and at each change', async () => {
    const sizes: string[] = [];
    const changed = deferred<undefined>();
    server = await ExecServer.start({
      pod: podOf(['main']),
      run: async (session) => {
        session.onResize(({ width, height }) => {
          sizes.push(`${width}x${height}`);
          session.stdout!.write(`size ${width}x${height}\r\n`);
          if (width === 100) changed.resolve(undefined);
        });
        await changed.promise;
        return exited(0);
      },
    });
    const argv = podwireArgv('exec', '-it', 'web', '--kubeconfig', '/dev/null', '-s', server.url, '--', 'sh');
    await using terminal = await Terminal.start(argv, { columns: 91, rows: 33 });
    await terminal.waitFor('size 91x33');
    await terminal.resize(100, 40);
    expect(await terminal.exitCode()).toBe(0);
    expect([sizes[0], sizes.at(-1)]).toEqual(['91x33', '100x40']);
  });
});

describeWithPeer('tmux', 'podwire shell at a terminal', () => {
  async function shellArgv(): Promise<string[]> {
    server = await ExecServer.start({
      pod: podOf(['main']),
      run: async ({ stdout, signal }) => {
        const line = new URLSearchParams(server.requests.at(-1)?.split('?')[1]).getAll('command').at(-1) ?? '';
        stdout!.write(`ran ${line}\n`);
        if (line === 'wait') await new Promise((resolve) => signal.addEventListener('abort', resolve));
        return exited(line === 'bad' ? 7 : 0);
      },
    });
    const flags = ['--kubeconfig', '/dev/null', '-s', server.url, '--history-file', join(folder, 'history')];
    return podwireArgv('shell', 'web', ...flags);
  }

  async function shell(): Promise<Terminal> {
    const terminal = await Terminal.start(await shellArgv());
    await terminal.waitFor('web>');
    return terminal;
  }

  it('has a prompt, a history for the next shell, and ends by ctrl-D with the last code', async () => {
    {
      await using terminal = await shell();
      await terminal.type('first\n');
      await terminal.waitFor('ran first\nweb>');
      await terminal.type('bad\n');
      await terminal.waitFor('ran bad\nexit 7\nweb>');
      await terminal.press('C-d');
      expect(await terminal.exitCode()).toBe(7);
    }
    expect(readFileSync(join(folder, 'history'), 'utf8')).toBe('first\nbad\n');
    await server[Symbol.asyncDispose]();
    await using next = await shell();
    await next.press('Up', 'Up');
    await next.waitFor('web> first');
    await next.press('Enter');
    await next.waitFor('ran first\nweb>');
    await next.type('exit\n');
    expect(await next.exitCode()).toBe(0);
  });

  it('is stopped by ctrl-Z, and goes on in the foreground', async () => {
    await using terminal = await Terminal.start(['sh'], { env: { ...process.env, PS1: 'local> ' } });
    await terminal.waitFor('local>');
    await terminal.type(`clear; ${(await shellArgv()).join(' ')}\n`);
    for (const line of ['', 'wait\n']) {
      await terminal.waitFor(/web>$/m);
      await terminal.type(line);
      if (line !== '') await terminal.waitFor('ran wait');
      await terminal.press('C-z');
      await terminal.waitFor(/local>$/m);
      await terminal.type('clear; fg\n');
      await terminal.waitFor(/shell web .*\n/);
    }
    await terminal.press('C-c');
    await terminal.waitFor(/web>$/m);
    await terminal.type('first\n');
    await terminal.waitFor('ran first\nweb>');
    await terminal.type('exit\n');
    await terminal.waitFor(/local>$/m);
  });

  it('ends what runs by ctrl-C, and at the prompt throws the line away', async () => {
    await using terminal = await shell();
    await terminal.type('wait\n');
    await terminal.waitFor('ran wait');
    await terminal.press('C-c');
    await terminal.waitFor(/\^C\nweb>$/m);
    await terminal.type('not this');
    await terminal.press('C-c');
    await terminal.type('but this\n');
    await terminal.waitFor('ran but this\nweb>');
    await terminal.type('exit\n');
    expect(await terminal.exitCode()).toBe(0);
  });
});
