import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FifoPool } from './fifo-pool.ts';
import { adoptKept, type Keeping, keeperObstacle, startKept } from './keeper.ts';
import type { ProcessSpec } from './prepare-launch.ts';
import { killMarked, markedProcesses } from './process-tree.ts';
import type { RunningProcess } from './session-process.ts';

let folder: string;
let pipes: FifoPool;
let marker: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-keeper-'));
  pipes = new FifoPool(folder);
  marker = `keeper-${process.pid}-${Math.random().toString(36).slice(2)}`;
});

afterEach(async () => {
  await killMarked(`${marker}.keeper/c`);
  await killMarked(`${marker}/c`);
  rmSync(folder, { recursive: true });
});

const PATH = process.env['PATH'] ?? '';
const keeping = (more: Partial<Keeping> = {}): Keeping => {
  return { directory: join(folder, 'kept'), marker: `${marker}.keeper/c`, pipes, isInputOnce: false, ...more };
};
const spec = (argv: string[], more: Partial<ProcessSpec> = {}): ProcessSpec => {
  return { argv, env: { PATH }, cwd: '/tmp', stdin: true, stdout: true, stderr: true, marker: `${marker}/c`, ...more };
};
const sh = (script: string, more: Partial<ProcessSpec> = {}): ProcessSpec => spec(['sh', '-c', script], more);
const left = (): number[] => markedProcesses(marker).map(({ pid }) => pid);

async function text(stream: Readable | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream!) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

async function firstOf(stream: Readable | undefined): Promise<string> {
  return new Promise((resolve) => stream!.once('data', (chunk: Buffer) => resolve(chunk.toString())));
}

async function again(wanted: ProcessSpec, how: Keeping): Promise<RunningProcess> {
  const found = await adoptKept(wanted, how, markedProcesses(how.marker));
  return found!;
}

describe.skipIf(keeperObstacle(true) !== undefined)('a kept process', () => {
  it('has its streams, its code and its time, and nothing is left of its keeper', async () => {
    const running = await startKept(sh('read x; echo "got $x"; echo oops >&2; exit 7'), keeping());
    running.stdin!.write('it\n');
    const output = Promise.all([text(running.stdout), text(running.stderr)]);
    const exit = await running.exited;
    await running.drained(1000);
    expect(await output).toEqual(['got it\n', 'oops\n']);
    expect(exit.code).toBe(7);
    expect(Math.abs(Number(exit.at! / 1_000_000n) - Date.now())).toBeLessThan(60_000);
    await running.kept!.release();
    await expect.poll(left).toEqual([]);
  });

  it.each([
    ['a real end', 'exit 0', 0],
    ['SIGKILL', 'kill -9 $$', 137],
    ['SIGINT, which no shell ignores for it', 'kill -INT $$; exit 3', 130],
    ['SIGPIPE', 'kill -PIPE $$; exit 3', 141],
    ['SIGTERM', 'kill -TERM $$; exit 3', 143],
  ])('ends by %s', async (_title, script, code) => {
    const running = await startKept(sh(script), keeping());
    expect((await running.exited).code).toBe(code);
    expect(await text((await drainedOf(running)).stderr)).toBe('');
    await running.kept!.release();
  });

  it('has exactly its own environment, directory and descriptors', async () => {
    const env = { PATH, 'a.b': 'dots', Q: "it's $HOME\n`x`", LD_X: '1' };
    const wanted = spec(['sh', '-c', 'tr "\\0" "\\n" </proc/self/environ; pwd; ls /proc/self/fd'], { env });
    const running = await startKept(wanted, keeping());
    await running.exited;
    const lines = (await text((await drainedOf(running)).stdout)).split('\n');
    expect(lines).toEqual(expect.arrayContaining(['a.b=dots', "Q=it's $HOME", '`x`', 'LD_X=1', '/tmp']));
    expect(lines.filter((line) => /^\d$/.test(line))).toEqual(['0', '1', '2', '3']);
    expect(lines.filter((line) => /^(SHLVL|OLDPWD|SHELL)=/.test(line))).toEqual([]);
    await running.kept!.release();
  });

  it('goes on when nobody is there, loses no output, and is found again', async () => {
    const wanted = sh('for i in 1 2 3; do read x; echo "$i $x"; done; exit 5');
    const first = await startKept(wanted, keeping());
    first.stdin!.write('a\n');
    expect(await firstOf(first.stdout)).toBe('1 a\n');
    first.kept!.leave();
    const second = await again(wanted, keeping());
    expect(second.pid).toBe(first.pid);
    second.stdin!.write('b\nc\n');
    const output = text(second.stdout);
    expect((await second.exited).code).toBe(5);
    await second.drained(1000);
    expect(await output).toBe('2 b\n3 c\n');
    await second.kept!.release();
    await expect.poll(left).toEqual([]);
  });

  it('that ended meanwhile still has its last output and its code', async () => {
    const wanted = sh('read x; seq 1 5000; exit 9');
    const first = await startKept(wanted, keeping());
    first.stdin!.write('go\n');
    first.kept!.leave();
    await expect.poll(() => statSync(join(folder, 'kept/exit'), { throwIfNoEntry: false })?.size).toBe(2);
    const second = await again(wanted, keeping());
    expect((await second.exited).code).toBe(9);
    await second.drained(1000);
    expect((await text(second.stdout)).split('\n')).toHaveLength(5001);
    await second.kept!.release();
  });

  it('reads the end of its input when it is said, and not before', async () => {
    const wanted = spec(['cat']);
    const first = await startKept(wanted, keeping({ isInputOnce: true }));
    first.stdin!.write('a');
    expect(await firstOf(first.stdout)).toBe('a');
    first.kept!.leave();
    const second = await again(wanted, keeping({ isInputOnce: true }));
    second.stdin!.end('b');
    const output = text(second.stdout);
    expect((await second.exited).code).toBe(0);
    await second.drained(1000);
    expect(await output).toBe('b');
    await second.kept!.release();
    await expect.poll(left).toEqual([]);
  });

  it('keeps its terminal', async () => {
    const wanted = sh('tty -s && stty size; read x; stty size; echo "$x $TERM"; exit 6', {
      tty: { width: 99, height: 11 },
      stderr: false,
    });
    const first = await startKept(wanted, keeping());
    expect(await firstOf(first.stdout)).toBe('11 99\r\n');
    first.kept!.leave();
    const second = await again(wanted, keeping());
    second.resize({ width: 120, height: 40 });
    const output = text(second.stdout);
    // stty(1) is another process: only the terminal says when it has been there.
    await expect.poll(() => sizeOf(second.pid)).toBe('40 120');
    second.stdin!.write('it\n');
    expect((await second.exited).code).toBe(6);
    await second.drained(1000);
    expect((await output).replaceAll('\r', '')).toBe('it\n40 120\nit xterm\n');
    await second.kept!.release();
    await expect.poll(left).toEqual([]);
  });

  it('whose keeper was killed is lost, and ended', async () => {
    const running = await startKept(spec(['sleep', '1000']), keeping());
    process.kill(markedProcesses(`${marker}.keeper`)[0]!.pid, 'SIGKILL');
    expect(await running.exited).toMatchObject({ code: 255, isLost: true });
    await running[Symbol.asyncDispose]();
    await expect.poll(left).toEqual([]);
  });

  it('is killed with all that came from it', async () => {
    const running = await startKept(sh('(setsid sleep 1000 &); trap "" TERM; sleep 1000; exit 0'), keeping());
    await expect.poll(async () => (await running.members()).length).toBe(3);
    await running.kill();
    expect((await running.exited).code).toBe(137);
    await running.kept!.release();
    await expect.poll(left).toEqual([]);
  });

  it('that cannot start leaves nothing', async () => {
    await expect(startKept(spec(['nope']), keeping())).rejects.toMatchObject({ code: 'ERR_COMMAND_NOT_FOUND' });
    expect(statSync(join(folder, 'kept'), { throwIfNoEntry: false })).toBeUndefined();
  });
});

async function drainedOf(running: RunningProcess): Promise<RunningProcess> {
  await running.drained(1000);
  return running;
}

async function sizeOf(pid: number): Promise<string> {
  const { execFileSync } = await import('node:child_process');
  return execFileSync('stty', ['-F', `/proc/${pid}/fd/0`, 'size'], { encoding: 'utf8' }).trim();
}
