// What terminals and pipes of commands must be seen to hold, at full length: `npm run soak -- pty`. The short forms are in
// src/runtime/process/start-process.test.ts and test/e2e/runtime-terminals.test.ts. PODWIRE_SOAK_RUNS sets the number of
// commands, PODWIRE_SOAK_STALL_S how long a reader stands still.
import { readdirSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import {
  type ProcessSpec,
  type RunningProcess,
  sharedFifoPool,
  startProcess,
} from '../../src/runtime/process/index.ts';

const RUNS = Number(process.env['PODWIRE_SOAK_RUNS'] ?? 3000);
const STALL_S = Number(process.env['PODWIRE_SOAK_STALL_S'] ?? 60);
const AT_ONCE = 30;
const PATH = process.env['PATH'] ?? '';
let sessions = 0;

function start(argv: string[], more: Partial<ProcessSpec>, terminal: 'script' | undefined): Promise<RunningProcess> {
  const marker = `soak-${process.pid}-${++sessions}`;
  const spec = { argv, env: { PATH }, cwd: '/tmp', stdin: false, stdout: true, stderr: false, marker, ...more };
  return startProcess(spec, terminal === undefined ? {} : { terminal });
}

async function bytesOf(stream: Readable | undefined): Promise<number> {
  let bytes = 0;
  for await (const chunk of stream!) bytes += (chunk as Buffer).length;
  return bytes;
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;

// A test worker is killed, so the pool does not see its end.
afterAll(() => sharedFifoPool().close());

describe.each<[string, Partial<ProcessSpec>, 'script' | undefined]>([
  ['pipes', {}, undefined],
  ['terminals by native code', { tty: true }, undefined],
  ['terminals by script(1)', { tty: true }, 'script'],
])('%s', (_kind, more, terminal) => {
  /** @returns bytes that came, and the exit code */
  const run = async (bytes: number, code = 7): Promise<[number, number]> => {
    const script = `head -c ${bytes} /dev/zero; exit ${code}`;
    await using running = await start(['sh', '-c', script], more, terminal);
    const got = await bytesOf(running.stdout);
    return [got, (await running.exited).code];
  };

  it(`lose nothing of 100,000 bytes, ${RUNS / 10} times one after the other, and no descriptor`, async () => {
    await run(1);
    const before = descriptors();
    for (let i = 0; i < RUNS / 10; i += 1) expect(await run(100_000)).toEqual([100_000, 7]);
    expect(descriptors()).toBe(before);
  });

  it(`lose no byte of 100,000 and no exit code, ${RUNS} times, ${AT_ONCE} at once`, async () => {
    for (let i = 0; i < RUNS; i += AT_ONCE) {
      const codes = Array.from({ length: AT_ONCE }, (_, at) => (i + at) % 256);
      expect(await Promise.all(codes.map((code) => run(100_000, code)))).toEqual(codes.map((code) => [100_000, code]));
    }
  });

  it(`keep a stopped writer waiting for ${STALL_S} s at no cost, and memory flat`, async () => {
    await using running = await start(['yes'], more, terminal);
    await new Promise((resolve) => running.stdout!.once('readable', resolve));
    const rss = process.memoryUsage().rss;
    const cpu = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, STALL_S * 1000));
    const { user, system } = process.cpuUsage(cpu);
    const grown = (process.memoryUsage().rss - rss) / 1024 / 1024;
    const busy = (user + system) / 1000;
    console.log(`a stopped reader of ${STALL_S} s: ${busy.toFixed(0)} ms of CPU, ${grown.toFixed(1)} MiB more`);
    // What this program does by itself, and the first fill of the buffers.
    expect(busy).toBeLessThan(100 + 5 * STALL_S);
    expect(grown).toBeLessThan(16);
  });

  it('hang up daemons that forked twice, every time', async () => {
    const script = '(setsid sh -c "echo up; sleep 1000 & exec sleep 1000" &); exec sleep 1000';
    for (let i = 0; i < RUNS / 30; i += 1) {
      await using running = await start(['sh', '-c', script], more, terminal);
      await new Promise((resolve) => running.stdout!.once('data', resolve));
      await running.hangUp(2000);
      expect(await running.members()).toEqual([]);
    }
  });
});

describe('a terminal', () => {
  it(`ends cat by ctrl-D with code 0, ${RUNS / 3} times`, async () => {
    for (let i = 0; i < RUNS / 3; i += 1) {
      await using running = await start(['cat'], { tty: true, stdin: true }, undefined);
      running.stdout!.resume();
      running.stdin!.write('x\n\x04');
      expect(await running.exited).toEqual({ code: 0 });
    }
  });

  it('gives 3000 bytes to a reader that pauses 1.5 s across the exit', async () => {
    await using running = await start(['head', '-c', '3000', '/dev/zero'], { tty: true }, undefined);
    await running.exited;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await bytesOf(running.stdout)).toBe(3000);
  });
});

describe('pipes', () => {
  it('carry 2 GiB whole', async () => {
    const bytes = 2 * 1024 ** 3;
    const began = performance.now();
    await using running = await start(['head', '-c', String(bytes), '/dev/zero'], {}, undefined);
    expect(await bytesOf(running.stdout)).toBe(bytes);
    const mib = bytes / 1024 ** 2 / ((performance.now() - began) / 1000);
    console.log(`${Math.round(mib)} MiB/s through a pipe`);
  });
});
