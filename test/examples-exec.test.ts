import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exited } from '../src/common/outcome.ts';
import { runChild } from './support/child.ts';
import { ExecServer, podOf } from './support/exec-server.ts';
import { describeWithPeer } from './support/peer.ts';
import { Terminal } from './support/terminal.ts';

// The examples run as they stand, against what `npm run build` made: types taken away, `src` for `dist`.

const root = resolve(import.meta.dirname, '..');
let folder: string;
let server: ExecServer;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  const cache = join(root, 'node_modules', '.cache');
  mkdirSync(cache, { recursive: true });
  folder = mkdtempSync(join(cache, 'podwire-examples-'));
  server = await ExecServer.start({
    pod: podOf(['main']),
    run: async (session) => {
      const { stdin, stdout, stderr, tty } = session;
      if (!tty) stderr!.write('to stderr\n');
      session.onResize(({ width, height }) => stdout!.write(`size ${width}x${height}\r\n`));
      stdout!.write('to stdout\r\n');
      if (tty)
        await new Promise((done) =>
          stdin!.once('data', (key: Buffer) => stdout!.write(`key ${key.toString()}\r\n`, done)),
        );
      return exited(7);
    },
  });
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: 'c', cluster: { server: server.url } }],
      contexts: [{ name: 'c', context: { cluster: 'c' } }],
      'current-context': 'c',
    }),
  );
  env = { ...process.env, KUBECONFIG: kubeconfig };
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** An example as JavaScript. @returns its path */
function built(name: string): string {
  const source = readFileSync(join(root, 'examples', `${name}.ts`), 'utf8');
  const client = pathToFileURL(join(root, 'dist', 'client', 'index.js')).href;
  const path = join(folder, `${name}.mjs`);
  const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
  const { outputText } = ts.transpileModule(source, { compilerOptions: options });
  writeFileSync(path, outputText.replace('../src/client/index.ts', client));
  return path;
}

describe('examples/exec-once.ts', () => {
  it('shows output and exit code of the command', async () => {
    const { stdout, stderr, exitCode } = await runChild(process.execPath, [built('exec-once'), 'web', 'id'], { env });
    expect([stdout.toString(), stderr.toString(), exitCode]).toEqual(['to stdout\r\n', 'to stderr\n', 7]);
  });

  it('says why nothing was started', async () => {
    const { stderr, exitCode } = await runChild(process.execPath, [built('exec-once'), 'other', 'id'], { env });
    expect([stderr.toString(), exitCode]).toEqual(['not started: not found\n', 125]);
  });
});

describeWithPeer('tmux', 'examples/exec-tty.ts', () => {
  it('opens a session on the terminal and gives the terminal back', async () => {
    const script = 'before=$(stty -g); "$@"; echo "code $?"; test "$before" = "$(stty -g)" && echo "as before"';
    const argv = ['sh', '-c', script, 'sh', process.execPath, built('exec-tty'), 'web'];
    await using terminal = await Terminal.start(argv, { env, columns: 91, rows: 33 });
    await terminal.waitFor('size 91x33');
    await terminal.waitFor('to stdout');
    await terminal.type('x');
    await terminal.waitFor('key x\ncode 7\nas before');
  });
});
