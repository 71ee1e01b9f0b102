import { Readable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { ExecServer, type ExecServerOptions, podOf } from '../../test/support/exec-server.ts';
import { MemoryIo } from '../../test/support/memory-io.ts';
import { readAll } from '../../test/support/read-all.ts';
import { deferred } from '../common/deferred.ts';
import { ExecPathError } from '../common/errors.ts';
import { exited, failed } from '../common/outcome.ts';
import { commandEntries } from './commands.ts';
import { runCli } from './index.ts';

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function cli(argv: readonly string[], io = new MemoryIo()): Promise<Run> {
  const code = await runCli(argv, io);
  return { code, out: io.out.text, err: io.err.text };
}

describe('podwire', () => {
  it('shows every command when it is asked for nothing or for help', async () => {
    for (const argv of [[], ['--help'], ['-h'], ['help']]) {
      const { code, out, err } = await cli(argv);
      expect([code, err]).toEqual([0, '']);
      for (const name of ['exec', 'shell', 'get', 'up', 'demo', 'apiserver', 'kubelet', 'runtime', 'version']) {
        expect(out).toMatch(new RegExp(`^ {2}${name} `, 'm'));
      }
    }
  });

  it.each(commandEntries.map(({ name, summary }) => [name, summary]))(
    'shows usage, examples and every flag of %s',
    async (name, summary) => {
      const { code, out, err } = await cli([name, '--help']);
      expect([code, err]).toEqual([0, '']);
      expect(out).toMatch(new RegExp(`^${summary}\\.$`, 'm'));
      expect(out).toMatch(new RegExp(`^Usage: podwire ${name}\\b`, 'm'));
      expect(out).toContain('Examples:');
      expect(out).not.toMatch(/^ .*--\S+ \|/m);
      expect(out).toContain('--help');
      expect(out.split('\n').filter((line) => line.endsWith(' '))).toEqual([]);
      expect((await cli(['help', name])).out).toBe(out);
    },
  );

  it('shows the defaults of demo where they are not those of up', async () => {
    const out = (await cli(['demo', '--help'])).out.replaceAll(/\s+/g, ' ');
    expect(out).toMatch(/--state-dir DIR .*\(default: a temporary folder\)/);
    expect(out).toMatch(/--secure-port PORT .*\(default: 0\)/);
  });

  it('has no colours in what is no terminal', async () => {
    expect((await cli(['exec', '--help'])).out).not.toContain('\u001b');
  });

  it('shows its version', async () => {
    expect(await cli(['version'])).toEqual({ code: 0, out: 'podwire 1.2.3\n', err: '' });
    expect(await cli(['--version'])).toEqual({ code: 0, out: 'podwire 1.2.3\n', err: '' });
  });

  it('suggests the nearest command for one that it does not know', async () => {
    const { code, err } = await cli(['exce', 'web']);
    expect(code).toBe(1);
    expect(err).toContain('error: unknown command "exce" for "podwire"\n\nDid you mean this?\n\texec\n');
    expect((await cli(['frobnicate'])).err).not.toContain('Did you mean');
  });

  it.each([
    [['exec', '--bogus'], 125, "error: unknown flag: --bogus\nSee 'podwire exec --help' for usage.\n"],
    [['exec', '-n'], 125, "error: flag needs an argument: 'n' in -n\nSee 'podwire exec --help' for usage.\n"],
    [['exec', 'web'], 125, 'error: you must specify at least one command for the container\n'],
    [['exec', 'web', 'ls'], 125, 'error: exec [POD] [COMMAND] is not supported: put -- before "ls"\n'],
    [['exec', '--', 'ls'], 125, 'error: a pod must be specified\n'],
    [['exec', 'deploy/web', '--', 'ls'], 125, 'error: "deploy/web" is no pod'],
    [['exec', '--kubelet', 'a', '-s', 'b', 'web', '--', 'ls'], 125, '--kubelet and --server exclude each other'],
    [['shell'], 125, 'error: shell takes either a pod or -l SELECTOR\n'],
    [['shell', 'web', '-l', 'a=b'], 125, 'error: shell takes either a pod or -l SELECTOR\n'],
    [['get'], 1, 'error: you must specify the type of object to get'],
    [['up', 'now'], 1, 'error: up takes no argument, got "now"\n'],
    [['up', '--container-runtime-endpoint', 'unix:///x'], 1, '--container-runtime-endpoint needs --demo-image'],
    [['apiserver', '--tls-cert-file', 'x'], 1, '--tls-cert-file and --tls-private-key-file go together'],
    [['kubelet', '--authorization-mode', 'Webhook'], 1, '--authorization-mode Webhook needs --kubeconfig'],
    [['kubelet', '--node-ip='], 1, 'error: --node-ip "" is no IP address\n'],
    [['kubelet', '--node-labels', 'a'], 1, '--node-labels has "a", which is not KEY=VALUE'],
    [['kubelet', '--cluster-dns', '10.0.0.1,x'], 1, 'error: --cluster-dns has "x", which is no IP address\n'],
    [['kubelet', '--cluster-domain', 'a b'], 1, 'error: --cluster-domain "a b" is no domain\n'],
    [['runtime', '--listen', 'http://x'], 1, '--listen takes one unix:///PATH and one tcp://HOST:PORT'],
    [['certs'], 1, 'error: you must say what to do with certificates: apiserver, node, user, ls, renew\n'],
    [['certs', 'nodes'], 1, 'podwire certs does not know "nodes": did you mean node?'],
    [['certs', 'apiserver'], 1, 'error: certs apiserver needs an ADDRESS: what clients and nodes call it\n'],
    [['certs', 'apiserver', 'https://api:6443'], 1, '"https://api:6443" is no address: give 192.0.2.11 or host1'],
    [['certs', 'apiserver', '192.0.2.256'], 1, '"192.0.2.256" is no address'],
    [['certs', 'apiserver', '0.0.0.0'], 1, '0.0.0.0 is where a server listens: name the address that others call'],
    [['certs', 'node', 'Host_2', '192.0.2.12'], 1, '"Host_2" is no name of a node: lower case letters'],
    [['certs', 'node', 'host2'], 1, 'error: certs node host2 needs an ADDRESS: what the apiserver calls it\n'],
    [['certs', 'node', 'host2', '192.0.2.12', '-s', 'http://a'], 1, '--server "http://a" is no https URL'],
    [['certs', 'user', '../ada', '--group', 'dev'], 1, '"../ada" is no name for a user here'],
    [['certs', 'user', 'ada'], 1, 'error: certs user needs --group: system:masters may do everything'],
    [['certs', 'ls', '--all'], 1, 'error: --all is for certs renew\n'],
    [['certs', 'renew', '--valid-for', '1s'], 1, 'error: --valid-for must be 1m or longer\n'],
    [['completion', 'tcsh'], 1, 'completion takes one of bash, zsh, fish, got "tcsh"'],
  ])('refuses %j with %i', async (argv, code, text) => {
    const run = await cli(argv);
    expect([run.code, run.out]).toEqual([code, '']);
    expect(run.err).toContain(text);
  });
});

describe('podwire exec', () => {
  let server: ExecServer | undefined;
  afterEach(() => server?.[Symbol.asyncDispose]());

  async function start(options: ExecServerOptions = {}): Promise<string[]> {
    server = await ExecServer.start({ pod: podOf(['main', 'side']), ...options });
    return ['--kubeconfig', '/dev/null', '-s', server.url];
  }

  it('passes streams and the exit code on, and names the code as kubectl does', async () => {
    const flags = await start({
      run: async ({ stdin, stdout, stderr }) => {
        stdout!.write(await readAll(stdin!));
        stderr!.write('to stderr\n');
        return exited(7);
      },
    });
    const io = new MemoryIo(Readable.from([Buffer.from('line\n')]));
    expect(await cli(['exec', '-i', 'pod/web', '-c', 'side', ...flags, '--', 'cat'], io)).toEqual({
      code: 7,
      out: 'line\n',
      err: 'to stderr\ncommand terminated with exit code 7\n',
    });
    expect(server!.requests.at(-1)).toContain('command=cat&container=side&stderr=true&stdin=true&stdout=true');
    expect([io.listening, io.undos.size]).toEqual([0, 0]);
  });

  it('takes flags before the command too, and says which container it chose unless -q', async () => {
    const flags = await start();
    const notice = 'Defaulted container "main" out of: main, side\n';
    expect(await cli([...flags, 'exec', 'web', '--', 'true'])).toEqual({ code: 0, out: '', err: notice });
    expect(await cli([...flags, 'exec', '-q', 'web', '--', 'true'])).toEqual({ code: 0, out: '', err: '' });
  });

  it('does not touch stdin without -i', async () => {
    const flags = await start();
    const io = new MemoryIo();
    await cli(['exec', '-q', 'web', ...flags, '--', 'true'], io);
    expect(io.inputsOpened).toBe(0);
  });

  it('says when there is no terminal for -t, and goes on without; -t alone is nothing', async () => {
    const flags = await start();
    const text = 'Unable to use a TTY - input is not a terminal or the right kind of file\n';
    expect(await cli(['exec', '-qit', 'web', ...flags, '--', 'true'])).toEqual({ code: 0, out: '', err: text });
    expect(server!.requests.at(-1)).not.toContain('tty');
    expect(await cli(['exec', '-qt', 'web', ...flags, '--', 'true'])).toEqual({ code: 0, out: '', err: '' });
  });

  it.each([
    [127, 'exec: "nope": executable file not found in $PATH', 'no such program in the container'],
    [126, 'exec: "nope": permission denied', 'the program exists but may not be run'],
    [125, 'cannot exec in a stopped container', 'a hop further on reported this failure'],
  ])('ends with %i when the runtime says: %s', async (code, words, rule) => {
    const text = `failed to exec in container: OCI runtime exec failed: exec failed: ${words}`;
    const flags = await start({ run: async () => failed(new ExecPathError('ERR_COMMAND_START', text)) });
    const run = await cli(['exec', '-q', 'web', ...flags, '--', 'nope']);
    expect(run.code).toBe(code);
    expect(run.err).toMatch(
      new RegExp(`^error: Internal error occurred: failed to exec .*\\n  where:   runtime\\n  rule:    ${rule}`),
    );
    expect(run.err).toMatch(/\n {2}session: [\da-f-]{36}\n$/);
  });

  it('ends with 125 and tells where, why and what to do when the path fails', async () => {
    const flags = await start();
    await server![Symbol.asyncDispose]();
    server = undefined;
    const { code, err } = await cli(['exec', 'web', ...flags, '--', 'true']);
    expect(code).toBe(125);
    expect(err).toMatch(
      /^error: cannot connect to 127\.0\.0\.1:\d+: connection refused: nothing listens there\n {2}where: {3}apiserver\n {2}rule: {4}the next hop could not be reached \(ERR_DIAL\)\n {2}remedy: /,
    );
  });

  it('says what an apiserver refused in the words of kubectl', async () => {
    const flags = await start({ pod: undefined });
    const { code, err } = await cli(['exec', 'web', '-n', 'shop', ...flags, '--', 'true']);
    expect(code).toBe(125);
    expect(err).toMatch(/^Error from server \(NotFound\): not found\n/);
    expect(err).toContain('podwire get pods -n shop');
  });

  it('ends as by SIGPIPE when nobody reads its stdout any more, and the command is told', async () => {
    const gone = deferred<undefined>();
    const flags = await start({
      run: async ({ stdout, signal }) => {
        signal.addEventListener('abort', () => gone.resolve(undefined));
        stdout!.write('y\n');
        await gone.promise;
        return exited(0);
      },
    });
    const io = new MemoryIo();
    io.out._write = (_chunk, _encoding, done: (error?: Error) => void): void => done(new Error('EPIPE'));
    io.out.on('error', () => {});
    expect(await cli(['exec', '-q', 'web', ...flags, '--', 'yes'], io)).toEqual({ code: 141, out: '', err: '' });
    await gone.promise;
    expect(io.out.listenerCount('error')).toBe(1);
  });

  it('fails when stdout takes no more, such as a file on a full disk', async () => {
    for (const argv of [['completion', 'bash'], ['--help'], ['help', 'get']]) {
      const io = new MemoryIo();
      io.out._write = (_chunk, _encoding, done: (error?: Error) => void): void =>
        done(Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }));
      io.out.on('error', () => {});
      expect(await cli(argv, io)).toEqual({
        code: 1,
        out: '',
        err: 'error: stdout cannot be written: ENOSPC: no space left on device, write\n',
      });
    }
  });

  it('reads on without a reader of its stderr', async () => {
    const flags = await start({
      run: async ({ stdout, stderr }) => {
        stderr!.write(Buffer.alloc(1024 * 1024));
        stdout!.write('output');
        return exited(3);
      },
    });
    const io = new MemoryIo();
    io.err._write = (_chunk, _encoding, done: (error?: Error) => void): void => done(new Error('EPIPE'));
    io.err.on('error', () => {});
    expect(await cli(['exec', '-q', 'web', ...flags, '--', 'true'], io)).toEqual({ code: 3, out: 'output', err: '' });
  });

  it('ends by a signal with 128 and its number, the command is told, and no handler is left', async () => {
    const began = deferred<undefined>();
    const gone = deferred<undefined>();
    const flags = await start({
      run: async ({ signal }) => {
        signal.addEventListener('abort', () => gone.resolve(undefined));
        began.resolve(undefined);
        await gone.promise;
        return exited(0);
      },
    });
    const io = new MemoryIo();
    const running = cli(['exec', '-q', 'web', ...flags, '--', 'sleep'], io);
    await began.promise;
    expect(io.signal('SIGINT')).toBe(1);
    expect(await running).toEqual({ code: 130, out: '', err: '' });
    await gone.promise;
    expect(io.listening).toBe(0);
  });

  it('ends by a signal while it connects', async () => {
    const asked = deferred<undefined>();
    const flags = await start({
      onUpgrade: () => {
        asked.resolve(undefined);
        return true;
      },
    });
    const io = new MemoryIo();
    const running = cli(['exec', '-q', 'web', ...flags, '--', 'sleep'], io);
    await asked.promise;
    io.signal('SIGTERM');
    io.signal('SIGTERM');
    expect(await running).toEqual({ code: 143, out: '', err: '' });
    expect(io.forced).toEqual([143]);
  });

  it('logs with -v what it does, with the id of the session', async () => {
    const flags = await start();
    const { err } = await cli(['exec', '-q', '-v1', 'web', ...flags, '--', 'true']);
    const id = String(server!.headers['audit-id']);
    const lines = err.trim().split('\n');
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line).toContain(`podwire:client:session [${id}] `);
    expect(err).toContain('event=dial detail="WebSocket to apiserver http://127.0.0.1');
    expect(err).toContain('event=end detail="exited 0"');
  });
});

describe('podwire __complete', () => {
  it.each([
    [['ex'], 'exec\tRun a command in a container\n:4\n'],
    [['exec', '--trans'], '--transport\twhat carries the streams; auto is WebSocket, then SPDY\n:4\n'],
    [['exec', '--transport', ''], 'auto\nwebsocket\nspdy\n:4\n'],
    [['exec', '--transport=s'], '--transport=spdy\n:4\n'],
    [['exec', '--kubeconfig', ''], ':0\n'],
    [['up', '--state-dir', ''], ':16\n'],
    [['completion', ''], 'bash\nzsh\nfish\n:4\n'],
    [['get', 'pods,no'], 'pods,nodes\n:4\n'],
    [['-n', 'ns', 'exec', '--transport', ''], 'auto\nwebsocket\nspdy\n:4\n'],
    [['--as', 'me', 'ver'], 'version\tShow the version\n:4\n'],
    [['--kubeconfig', ''], ':0\n'],
    [['--kubec'], '--kubeconfig\tthe kubeconfig\n:4\n'],
    [['get', ''], 'pods\nnodes\nnamespaces\nevents\nleases\nserviceaccounts\n:4\n'],
    [['help', 'ver'], 'version\tShow the version\n:4\n'],
    [['exec', 'web', '--', 'l'], ':0\n'],
    [['nothing', ''], ':4\n'],
    [['exec', '--bogus', ''], ':4\n'],
  ])('of %j gives %j', async (words, text) => {
    expect(await cli(['__complete', ...words])).toEqual({ code: 0, out: text, err: '' });
  });

  it('gives the names of pods and containers, and none when there is no cluster', async () => {
    const pod = podOf(['main', 'side']);
    await using server = await ExecServer.start({ pod, list: [pod] });
    const flags = ['--kubeconfig', '/dev/null', '-s', server.url];
    expect((await cli(['__complete', 'exec', ...flags, 'w'])).out).toBe('web\n:4\n');
    expect((await cli(['__complete', 'exec', ...flags, 'web', '-c', ''])).out).toBe('main\nside\n:4\n');
    expect((await cli(['__complete', 'exec', '-s', 'http://127.0.0.1:1', ''])).out).toBe(':4\n');
  });
});
