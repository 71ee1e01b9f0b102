import { Buffer } from 'node:buffer';
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { BackgroundChild, mustRun, runChild } from './child.ts';
import { processesWith } from './process-table.ts';

it('gives output, exit code and signal of a program', async () => {
  const ended = await runChild('sh', ['-c', 'cat; echo err >&2; exit 7'], { stdin: Buffer.from('in') });
  expect(ended).toMatchObject({ exitCode: 7, signal: null });
  expect([ended.stdout.toString(), ended.stderr.toString()]).toEqual(['in', 'err\n']);
  expect(await runChild('sh', ['-c', 'kill -9 $$'])).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
});

it('rejects for a program that is not there, and quotes stderr of one that fails', async () => {
  await expect(runChild('/no/such/program', [])).rejects.toThrow('ENOENT');
  await expect(mustRun('sh', ['-c', 'echo why >&2; exit 1'])).rejects.toThrow('exit code 1: why');
});

it('kills the whole group at a deadline and says what was printed', async () => {
  const marker = `deadline-${process.pid}`;
  const late = runChild('sh', ['-c', 'echo said >&2; sleep 1000 & sleep 1000'], {
    env: { ...process.env, MARKER: marker },
    deadlineMs: 200,
  });
  await expect(late).rejects.toThrow(/did not end within 200 ms: said/);
  expect(processesWith(marker)).toEqual([]);
});

it('kills a program when its caller aborts', async () => {
  const gone = new AbortController();
  const session = runChild('sh', ['-c', 'echo started; sleep 1000'], {
    signal: gone.signal,
    onStdout: () => gone.abort(),
  });
  expect((await session).signal).toBe('SIGKILL');
});

it('holds the program back until a chunk of its output is taken', async () => {
  let bytes = 0;
  let isBusy = false;
  await runChild('head', ['-c', '1000000', '/dev/zero'], {
    onStdout: async (chunk) => {
      expect(isBusy).toBe(false);
      isBusy = true;
      await new Promise(setImmediate);
      isBusy = false;
      bytes += chunk.length;
    },
  });
  expect(bytes).toBe(1_000_000);
});

it('ends although nobody ends its input', async () => {
  const endless = new Readable({ read: () => undefined });
  expect((await runChild('true', [], { stdin: endless })).exitCode).toBe(0);
});

it('waits for a line of a background program, and stops it', async () => {
  await using child = new BackgroundChild('sh', ['-c', 'echo "listening on 4242"; exec sleep 1000']);
  expect((await child.waitForLog(/on (\d+)/))[1]).toBe('4242');
  await child.stop();
  expect((await child.exited).signal).toBe('SIGTERM');
  await expect(child.waitForLog(/never/)).rejects.toThrow('ended before /never/: listening on 4242');
});

it('says so when a background program cannot be started', async () => {
  await using child = new BackgroundChild('/no/such/program', []);
  await expect(child.waitForLog(/ready/)).rejects.toThrow('ENOENT');
});
