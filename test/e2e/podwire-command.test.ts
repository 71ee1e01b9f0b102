import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const manifest = readFileSync(join(root, 'package.json'), 'utf8');
const { bin } = JSON.parse(manifest) as { bin: { podwire: string } };

let clone: string;

beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), 'podwire-clone-'));
  writeFileSync(join(clone, 'package.json'), manifest);
  mkdirSync(join(clone, 'bin'));
  cpSync(join(root, bin.podwire), join(clone, bin.podwire));
});

afterEach(() => rmSync(clone, { recursive: true }));

it('is there for npx before the build, says what is missing, and runs when it is built', () => {
  const npx = (): string => {
    const env = { ...process.env, npm_config_cache: join(clone, 'cache'), npm_config_offline: 'true' };
    const { stdout, stderr, status } = spawnSync('npx', ['podwire', 'version'], { cwd: clone, env, encoding: 'utf8' });
    return `${stdout}${stderr}exit ${status}`;
  };
  expect(npx()).toBe('error: podwire is not built yet: npm run build\nexit 1');
  mkdirSync(join(clone, 'dist/cli'), { recursive: true });
  writeFileSync(join(clone, 'dist/cli/main.js'), 'console.log(process.argv.slice(2));');
  expect(npx()).toBe("[ 'version' ]\nexit 0");
});
