import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeStateFolder } from './state-folder.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-state-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a state folder', () => {
  it('is made with those above it, once, also by several at once', async () => {
    const path = join(folder, 'a/b/c');
    await Promise.all([makeStateFolder(path), makeStateFolder(path), makeStateFolder(`${path}/`)]);
    await makeStateFolder(path, 0o755);
    expect([path, join(folder, 'a')].map((made) => statSync(made).mode & 0o777)).toEqual([0o700, 0o700]);
    await makeStateFolder(join(folder, 'open'), 0o755);
    expect(statSync(join(folder, 'open')).mode & 0o777).toBe(0o755);
  });

  it.skipIf(process.platform !== 'linux')('is refused where the system has no room for any', async () => {
    await expect(makeStateFolder('/proc/podwire/state')).rejects.toMatchObject({
      code: 'ERR_STATE_FOLDER',
      message: expect.stringMatching(/^the state folder "\/proc\/podwire\/state" cannot be made: ENOENT/),
    });
  });

  it('is refused below a file', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(makeStateFolder(join(folder, 'file/state'))).rejects.toMatchObject({ code: 'ERR_STATE_FOLDER' });
  });
});
