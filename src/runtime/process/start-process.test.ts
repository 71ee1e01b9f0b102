import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { sharedFifoPool } from './fifo-pool.ts';
import type { ProcessSpec } from './prepare-launch.ts';
import { listPids, readEnvironment, readProcess } from './process-table.ts';
import type { RunningProcess } from './session-process.ts';
import { type StartOptions, startProcess as start } from './start-process.ts';

const PATH = process.env['PATH'] ?? '';
let sessions = 0;

function spec(argv: string[], more: Partial<ProcessSpec> = {}): ProcessSpec {
  const marker = `test-${process.pid}-${++sessions}`;
  return { argv, env: { PATH }, cwd: '/tmp', stdin: false, stdout: true, stderr: true, marker, ...more };
}

const started: RunningProcess[] = [];

async function startProcess(given: ProcessSpec, options: StartOptions = {}): Promise<RunningProcess> {
  const running = await start(given, options);
  started.push(running);
  return running;
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((running) => running[Symbol.asyncDispose]()));
});

const sh = (script: string, more: Partial<ProcessSpec> = {}): Promise<RunningProcess> =>
  startProcess(spec(['sh', '-c', script], more));

async function read(stream: Readable | undefined): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream!) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const text = async (stream: Readable | undefined): Promise<string> => (await read(stream)).toString();

/** Reads until `wanted` has come, and leaves the stream flowing into the returned collector. */
function watch(stream: Readable | undefined): {
  seen: () => string;
  until: (wanted: string | RegExp) => Promise<string>;
} {
  let seen = '';
  stream!.on('data', (chunk: Buffer) => {
    seen += chunk.toString();
  });
  return {
    seen: () => seen,
    until: async (wanted) => {
      const signal = AbortSignal.timeout(20_000);
      while (typeof wanted === 'string' ? !seen.includes(wanted) : !wanted.test(seen)) {
        await once(stream!, 'data', { signal }).catch(() => {
          throw new Error(`${String(wanted)} did not come; there was ${JSON.stringify(seen)}`);
        });
      }
      return seen;
    },
  };
}

const marked = (marker: string): number[] =>
  listPids().filter((pid) => readEnvironment(pid).includes(`=${marker}\0`) && readProcess(pid)?.isZombie === false);

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

// A test worker is killed, so the pool does not see its end.
afterAll(() => sharedFifoPool().close());

describe('a process on pipes', () => {
  it('gives stdout, stderr and the exit code, each apart', async () => {
    const running = await sh('echo out; echo err >&2; exit 7');
    const [out, err, exit] = await Promise.all([text(running.stdout), text(running.stderr), running.exited]);
    expect({ out, err, exit }).toEqual({ out: 'out\n', err: 'err\n', exit: { code: 7 } });
  });

  it('has real pipes: /dev/stdout and /dev/stderr can be opened again', async () => {
    const running = await sh('echo a > /dev/stdout; echo b > /dev/stderr');
    expect(await Promise.all([text(running.stdout), text(running.stderr)])).toEqual(['a\n', 'b\n']);
  });

  it.each([
    ['exit 0', 0, undefined],
    ['exit 1', 1, undefined],
    ['exit 126', 126, undefined],
    ['exit 255', 255, undefined],
    ['kill -9 $$', 137, 'SIGKILL'],
    ['kill -15 $$', 143, 'SIGTERM'],
  ])('reports the exit code of %s', async (script, code, signal) => {
    const running = await sh(script);
    running.stdout!.resume();
    running.stderr!.resume();
    await running.drained(1000);
    expect(await running.exited).toEqual(signal === undefined ? { code } : { code, signal });
  });

  it('carries all 256 byte values both ways, in order, more than any buffer holds', async () => {
    const sent = Buffer.from(Array.from({ length: 1024 * 1024 }, (_, i) => (i * 7 + (i >> 8)) & 255));
    const running = await startProcess(spec(['cat'], { stdin: true }));
    running.stdin!.end(sent);
    expect((await read(running.stdout)).equals(sent)).toBe(true);
    expect(await running.exited).toEqual({ code: 0 });
  });

  it('has exactly the given environment and the mark of its session', async () => {
    process.env['PODWIRE_TEST_LEAK'] = '1';
    const running = await startProcess(spec(['env', '-0'], { env: { PATH, A: 'b c', E: '' }, marker: 'm/1' }));
    const lines = (await text(running.stdout)).split('\0').filter(Boolean).sort();
    expect(lines).toEqual(['A=b c', 'E=', `PATH=${PATH}`, 'PODWIRE_SESSION=m/1'].sort());
  });

  it('sees its own argv[0] and working directory, and leads a session', async () => {
    const running = await sh('tr "\\0" " " </proc/$$/cmdline; pwd; ps -o sid= -p $$', { cwd: '/usr' });
    const [cmdline, cwd, sid] = (await text(running.stdout)).split(/(?<= )(?=\/)|\n/);
    expect(cmdline).toMatch(/^sh -c /);
    expect(cwd).toBe('/usr');
    expect(Number(sid)).toBe(running.pid);
  });

  it('lets a writer go on that writes to a process which reads nothing more', async () => {
    const running = await sh('exec <&-; echo closed; sleep 0.1', { stdin: true });
    await once(running.stdout!, 'data');
    for (let i = 0; i < 20; i += 1)
      if (!running.stdin!.write(Buffer.alloc(65_536))) await once(running.stdin!, 'drain');
    running.stdin!.end();
    await once(running.stdin!, 'finish');
    running.stdout!.resume();
    expect(await running.exited).toEqual({ code: 0 });
    await running.drained(1000);
  });

  it('frees a writer that is stuck when the process ends', async () => {
    const running = await sh('echo ready; read line', { stdin: true });
    await once(running.stdout!, 'data');
    running.stdin!.write('go\n');
    running.stdin!.end(Buffer.alloc(4 * 1024 * 1024));
    await once(running.stdin!, 'finish');
  });

  it('gives the output of the process, then end, when a background child keeps stdout open', async () => {
    const running = await sh('(sleep 1000)& head -c 50000 /dev/zero');
    const output = read(running.stdout);
    expect(await running.exited).toEqual({ code: 0 });
    await running.drained(50);
    expect((await output).length).toBe(50_000);
    await running.kill();
  });

  it('gives what was written before the exit to a reader that starts after the deadline', async () => {
    const running = await sh('(sleep 1000)& head -c 60000 /dev/zero');
    await running.exited;
    await running.drained(20);
    expect((await read(running.stdout)).length).toBe(60_000);
    await running.kill();
  });
});

describe.each<[string, StartOptions]>([
  ['native code', {}],
  ['script(1)', { terminal: 'script' }],
])('a process on a terminal by %s', (kind, options) => {
  const onTerminal = (argv: string[], more: Partial<ProcessSpec> = {}): Promise<RunningProcess> =>
    startProcess(spec(argv, { tty: true, ...more }), options);
  const shell = (script: string, more: Partial<ProcessSpec> = {}): Promise<RunningProcess> =>
    onTerminal(['sh', '-c', script], more);

  it('has a controlling terminal of the given size, and TERM', async () => {
    const running = await shell('tty; stty size; echo $TERM; ps -o pid=,sid=,tpgid= -p $$; echo via >/dev/tty', {
      tty: { width: 132, height: 43 },
    });
    const lines = (await text(running.stdout)).split('\r\n');
    expect(lines[0]).toMatch(/^\/dev\/pts\/\d+$/);
    expect(lines.slice(1, 3)).toEqual(['43 132', 'xterm']);
    const ids = lines[3]!.trim().split(/\s+/).map(Number);
    // With script(1) in between, the command is not the process that we started, but it leads its session all the same.
    expect(new Set(ids).size).toBe(1);
    if (kind === 'native code') expect(ids[0]).toBe(running.pid);
    expect(lines[4]).toBe('via');
  });

  it('tells the process of a resize, and ignores a size of 0', async () => {
    const running = await shell('trap "stty size" WINCH; stty size; while :; do sleep 0.02; done');
    const screen = watch(running.stdout);
    await screen.until('24 80');
    running.resize({ width: 0, height: 10 });
    running.resize({ width: 100, height: 50 });
    await screen.until('50 100');
    expect(screen.seen()).not.toContain('10 0');
    await running.hangUp(1000);
    running.resize({ width: 1, height: 1 });
  });

  it('gives the command its words unchanged and exactly its environment', async () => {
    const words = ['-n', "it's", '"$HOME"', 'a\nb', '\\', '', '*'];
    const running = await onTerminal(['sh', '-c', 'printf "[%s]" "$@"; exec env', ...words], {
      env: { PATH, A: "b'c d" },
    });
    const output = await text(running.stdout);
    expect(output.replaceAll('\r\n', '\n')).toContain(
      words
        .slice(1)
        .map((word) => `[${word}]`)
        .join(''),
    );
    const lines = output.split('\r\n').filter((line) => /^[A-Z_]+=/.test(line) || line.includes(']A='));
    const names = output.match(/(?<=^|\]|\n)[A-Z_]+(?==)/g)!.filter((name) => name !== 'PWD' && name !== '_');
    expect(names.sort()).toEqual(['A', 'PATH', 'PODWIRE_SESSION', 'TERM']);
    expect(lines.join('\n')).toContain("A=b'c d");
  });

  it('ends cat by ctrl-D with code 0', async () => {
    const running = await onTerminal(['cat'], { stdin: true });
    const output = text(running.stdout);
    running.stdin!.write('hello\n\x04');
    expect(await running.exited).toEqual({ code: 0 });
    expect(await output).toBe('hello\r\nhello\r\n');
  });

  it('has job control: ctrl-Z stops a job and fg continues it', async () => {
    const env = { PATH, PS1: '$ ', HOME: '/tmp' };
    const running = await onTerminal(['bash', '--norc', '-i'], { env, stdin: true });
    const screen = watch(running.stdout);
    await screen.until('$ ');
    // No shell loop as job: a ^Z that meets its vfork(2) stops the child only, and bash waits for the parent.
    running.stdin!.write(`sh -c 'echo jo""b; exec cat'\n`);
    await screen.until('job\r\n');
    running.stdin!.write('\x1a');
    await screen.until(/Stopped\s+sh -c[\s\S]*\$ $/);
    running.stdin!.write('fg\n');
    await screen.until(/fg\r\n[\s\S]*exec cat'\r\n/);
    running.stdin!.write('back\n');
    await screen.until(/back\r\nback\r\n/);
    running.stdin!.write('\x03');
    await screen.until(/\^C[\s\S]*\$ $/);
    running.stdin!.write('exit 3\n');
    expect(await running.exited).toEqual({ code: 3 });
    await running.drained(1000);
  });

  it('keeps all output that a paused reader has not taken when the process ends', async () => {
    const running = await shell('head -c 3000 /dev/zero');
    await running.exited;
    expect((await read(running.stdout)).length).toBe(3000);
  });

  it.each([[0], [1], [7], [255]])('reports exit code %d', async (code) => {
    const running = await shell(`exit ${code}`);
    running.stdout!.resume();
    expect(await running.exited).toEqual({ code });
    await running.drained(1000);
  });

  it('costs nothing while a writer waits for a process that does not read', async () => {
    const running = await shell('stty raw -echo; echo ready; exec sleep 1000', { stdin: true });
    await watch(running.stdout).until('ready');
    expect(running.stdin!.write(Buffer.alloc(1024 * 1024))).toBe(false);
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 500).unref());
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(100);
  });

  it('is not seen by other processes: they get no descriptor of its master', async () => {
    const first = await onTerminal(['cat'], { stdin: true });
    const second = await sh('readlink /proc/self/fd/*');
    const third = await shell('readlink /proc/self/fd/*');
    expect(await text(second.stdout)).not.toContain('ptmx');
    expect(await text(third.stdout)).not.toContain('ptmx');
    await first[Symbol.asyncDispose]();
  });
});

describe('a process of another user', () => {
  it.skipIf(process.getuid?.() !== 0).each([[undefined], [true as const]])(
    'has its uid, gid and groups, and may open its own streams again (tty: %s)',
    async (tty) => {
      const user = { uid: 12_345, gid: 12_346, groups: [12_347, 12_348] };
      const script = 'id -u; id -g; id -G; echo again > /dev/stdout';
      const running = await sh(script, { user, ...(tty && { tty }) });
      const lines = (await text(running.stdout)).split(/\r?\n/);
      expect(lines).toEqual(['12345', '12346', '12346 12347 12348', 'again', '']);
      const alone = await startProcess(spec(['id', '-G'], { user: { uid: 12_345, gid: 12_346 }, ...(tty && { tty }) }));
      expect((await text(alone.stdout)).trim()).toBe('12346');
    },
  );
});

describe('a process behind a wrapper', () => {
  it.each([[undefined], [true as const]])('is run by it, found in our PATH, not in its own (tty: %s)', async (tty) => {
    const env = { PATH: '/nope' };
    const wrapper = ['nice', '-n', '3'];
    const running = await startProcess(spec(['/usr/bin/nice'], { env, wrapper, ...(tty && { tty }) }));
    expect((await text(running.stdout)).trim()).toBe('3');
    expect(await running.exited).toEqual({ code: 0 });
  });
});

describe('hanging up', () => {
  it.each([[undefined], [true as const]])('ends children and daemons that forked twice (tty: %s)', async (tty) => {
    const more: Partial<ProcessSpec> = tty ? { tty } : {};
    const running = await sh('setsid sh -c "sleep 1000 & sleep 1000" & sleep 1000 & echo up; sleep 1000', more);
    const marker = `test-${process.pid}-${sessions}`;
    await watch(running.stdout).until('up');
    await running.hangUp(1000);
    expect(marked(marker)).toEqual([]);
    expect((await running.exited).code).toBe(129);
  });

  it('kills after the grace what ignores the hang-up, the daemon of an ended process too', async () => {
    const running = await sh('trap "" HUP; (setsid sh -c "trap \\"\\" HUP; echo up; while :; do sleep 1; done" &)');
    const marker = `test-${process.pid}-${sessions}`;
    await watch(running.stdout).until('up');
    await running.exited;
    expect(marked(marker).length).toBeGreaterThan(0);
    await running.hangUp(50);
    expect(marked(marker)).toEqual([]);
    await running.drained(1000);
  });

  it('leaves strangers alone', async () => {
    const stranger = await startProcess(spec(['sleep', '1000']));
    const running = await startProcess(spec(['sleep', '1000']));
    await running.kill();
    expect(await running.exited).toEqual({ code: 137, signal: 'SIGKILL' });
    expect(readProcess(stranger.pid)?.isZombie).toBe(false);
    await stranger[Symbol.asyncDispose]();
  });
});

describe('resources', () => {
  it.each([[undefined], [true as const]])(
    'loses no byte and no descriptor in many short processes (tty: %s)',
    async (tty) => {
      const rounds = 30;
      const more: Partial<ProcessSpec> = tty ? { tty } : {};
      const once = async (): Promise<number> => {
        const running = await startProcess(spec(['head', '-c', '100000', '/dev/zero'], more));
        const [bytes, exit] = await Promise.all([read(running.stdout), running.exited, running.drained(5000)]);
        expect(exit).toEqual({ code: 0 });
        return bytes.length;
      };
      expect(await once()).toBe(100_000);
      const before = openDescriptors();
      for (let i = 0; i < rounds; i += 1) expect(await once()).toBe(100_000);
      expect(await Promise.all(Array.from({ length: rounds }, once))).toEqual(
        Array.from({ length: rounds }, () => 100_000),
      );
      expect(openDescriptors()).toBe(before);
    },
  );

  it.each([[undefined], [true as const]])(
    'a stopped reader stops yes: flat memory, idle CPU (tty: %s)',
    async (tty) => {
      const running = await startProcess(spec(['yes'], tty ? { tty } : {}));
      await once(running.stdout!, 'readable');
      const memory = process.memoryUsage().rss;
      const before = process.cpuUsage();
      await new Promise((resolve) => setTimeout(resolve, 500).unref());
      const { user, system } = process.cpuUsage(before);
      expect((user + system) / 1000).toBeLessThan(100);
      expect(process.memoryUsage().rss - memory).toBeLessThan(8 * 1024 * 1024);
    },
  );
});

describe('a command that cannot start', () => {
  const failure = (argv: string[], more: Partial<ProcessSpec> = {}): Promise<unknown> =>
    startProcess(spec(argv, more)).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );

  it.each([[undefined], [true as const]])('says so, with the code of a shell (tty: %s)', async (tty) => {
    const more: Partial<ProcessSpec> = tty ? { tty } : {};
    const directory = mkdtempSync(join(tmpdir(), 'podwire-test-'));
    writeFileSync(join(directory, 'plain'), 'x', { mode: 0o644 });
    await failure(['true', 'x'.repeat(200_000)], more);
    const before = openDescriptors();
    expect(await failure(['nope'], more)).toMatchObject({
      code: 'ERR_COMMAND_NOT_FOUND',
      exitCode: 127,
      message: 'exec: "nope": executable file not found in $PATH',
    });
    expect(await failure([join(directory, 'plain')], more)).toMatchObject({
      code: 'ERR_COMMAND_NOT_EXECUTABLE',
      exitCode: 126,
      message: `exec: "${directory}/plain": permission denied`,
    });
    expect(await failure(['true'], { ...more, cwd: '/nope' })).toMatchObject({
      code: 'ERR_COMMAND_START',
      exitCode: 126,
      message: 'chdir to cwd ("/nope") failed: no such file or directory',
    });
    expect(await failure(['true', 'x'.repeat(200_000)], more)).toMatchObject({ code: 'ERR_COMMAND_START' });
    expect(openDescriptors()).toBe(before);
    rmSync(directory, { recursive: true });
  });

  it.each([
    [{ argv: [] }, 'the command is empty'],
    [{ argv: ['true', 'a\0b'] }, 'holds a NUL'],
    [{ env: { 'A=B': '' } }, '"A=B" is no name of an environment variable'],
    [{ cwd: 'tmp' }, 'working directory "tmp" is not absolute'],
    [{ marker: 'a b' }, 'session id "a b"'],
  ])('is refused for a broken spec %j', async (more, message) => {
    expect(await failure(['true'], more)).toMatchObject({
      code: 'ERR_BAD_REQUEST',
      message: expect.stringContaining(message) as unknown,
    });
  });
});
