import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type ProcessRow, processTable, startTime } from '../../test/support/process-table.ts';
import { createRuntime } from '../runtime/index.ts';
import { lockState } from './state-lock.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-state-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

const claims: readonly (readonly [string, (path: string) => Promise<unknown>])[] = [
  ['a cluster', lockState],
  ['a runtime', (path) => createRuntime({ stateDir: path })],
];

it.each(claims)('refuses a state folder of %s that cannot be one', async (_who, claim) => {
  const file = join(folder, 'file');
  writeFileSync(file, 'text');
  for (const path of [file, join(file, 'below'), '']) {
    await expect(claim(path)).rejects.toMatchObject({
      code: 'ERR_STATE_FOLDER',
      message: expect.stringMatching(/^the state folder ".*" cannot be used: E[A-Z]+: /),
    });
  }
});

it.each([
  ['a cluster', 'up.pid', (pid: number, start: number) => `${pid} ${start}`],
  [
    'a runtime',
    'runtime.json',
    (pid: number, startTicks: number) => JSON.stringify({ marker: 'podwire-0123456789ab', pid, startTicks, boot: 'b' }),
  ],
] as const)(
  'takes a state folder of %s whose process is dead, though nobody has reaped it',
  async (who, name, claim) => {
    // It becomes another program, which does not wait for its child.
    const parent = spawn('sh', ['-c', 'true & exec sleep 1000']);
    try {
      const zombie = (): ProcessRow | undefined =>
        processTable().find((row) => row.parent === parent.pid && row.state === 'Z');
      await expect.poll(zombie).toBeDefined();
      const { pid = 0 } = zombie() ?? {};
      writeFileSync(join(folder, name), claim(pid, startTime(pid) ?? 0));
      if (who === 'a cluster') await (await lockState(folder))();
      else await (await createRuntime({ stateDir: folder })).close();
    } finally {
      parent.kill('SIGKILL');
    }
  },
);
