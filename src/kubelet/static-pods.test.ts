import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StaticPods } from './static-pods.ts';

let folder: string;
let problems: string[];
let manifests: StaticPods;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-static-'));
  problems = [];
  manifests = new StaticPods(folder, 'n1', (message) => problems.push(message));
});

afterEach(() => rmSync(folder, { recursive: true }));

function write(file: string, metadata: object): void {
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{ name: 'main', image: 'x' }] } };
  writeFileSync(join(folder, file), JSON.stringify(pod));
}

async function names(): Promise<string[] | undefined> {
  return (await manifests.read())?.map(({ metadata }) => metadata.name);
}

describe('a folder of static pods', () => {
  it('is read though a pipe, a folder and a giant lie in it, which are named once', async () => {
    write('web.json', { name: 'web' });
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'z.yaml'), '');
    truncateSync(join(folder, 'z.yaml'), 8 * 1024 ** 3);
    expect(await names()).toEqual(['web-n1']);
    expect(await names()).toEqual(['web-n1']);
    expect(problems).toEqual([
      expect.stringMatching(/pipe: it is not a file$/),
      expect.stringMatching(/sub: it is not a file$/),
      expect.stringMatching(/z.yaml: 8589934592 bytes exceed the limit of 1048576$/),
    ]);
  });

  it('gives no two pods one uid, and says which it left out', async () => {
    write('a.json', { name: 'one', uid: 'u' });
    write('b.json', { name: 'two', uid: 'u' });
    expect(await names()).toEqual(['one-n1']);
    expect(problems).toEqual([expect.stringContaining('pod one-n1 has the uid u too')]);
  });

  it('knows nothing when it cannot be read', async () => {
    expect(
      await new StaticPods(join(folder, 'none'), 'n1', (message) => problems.push(message)).read(),
    ).toBeUndefined();
    expect(problems.length).toBe(1);
  });
});
