import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
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
