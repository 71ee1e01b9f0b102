import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CriClient } from '../../src/cri/index.ts';
import { HOST_IMAGE, ImageStore } from '../../src/runtime/index.ts';
import { isolationObstacle } from '../../src/runtime/isolation/index.ts';
import { type ChildResult, runChild } from '../support/child.ts';
import { findBusybox, imageArchive, TEST_IMAGE } from '../support/image.ts';
import { PodwireHop, podwireArgv } from '../support/podwire.ts';

// `podwire image` as people use it, beside a runtime that runs or not. Needs `npm run build`.

const NOBODY = 65_534;
const obstacle = (await isolationObstacle()) ?? (findBusybox() === undefined ? 'no static BusyBox' : undefined);

let folder: string;
let archive: string;
let stateDir: string;
const hops: PodwireHop[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-image-'));
  stateDir = join(folder, 'state');
  archive = join(folder, 'busybox.tar');
});
afterEach(async () => {
  for (const hop of hops.splice(0)) await hop.stop();
  rmSync(folder, { recursive: true });
});

function image(...args: string[]): Promise<ChildResult> {
  const [node = '', ...argv] = podwireArgv('image', ...args, '--state-dir', stateDir);
  return runChild(node, argv);
}

async function said(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await image(...args);
  expect([exitCode, stderr.toString()]).toEqual([0, '']);
  return stdout.toString();
}

async function refused(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await image(...args);
  expect([exitCode, stdout.toString()]).toEqual([1, '']);
  return stderr.toString();
}

async function runtime(...flags: string[]): Promise<CriClient> {
  const hop = await PodwireHop.start('runtime', ['--state-dir', stateDir, ...flags]);
  hops.push(hop);
  return new CriClient(hop.address);
}

describe.skipIf(findBusybox() === undefined)('podwire image', () => {
  beforeEach(() => writeFileSync(archive, imageArchive()));

  it('takes an archive in, shows it as a table, and removes it by name, short id or id', async () => {
    const [, name = '', short = ''] =
      /^imported (\S+) {2}([0-9a-f]{12}) {2}\d/.exec(await said('import', archive)) ?? [];
    const [titles, row, host] = (await said('ls')).split('\n');
    expect(titles).toMatch(/^NAME +ID +SIZE +CREATED$/);
    expect(row).toMatch(new RegExp(`^${TEST_IMAGE} +${short} +[\\d.]+ MiB +1970-01-01 00:00$`));
    expect(host).toMatch(new RegExp(`^${HOST_IMAGE}:latest .*isolates nothing$`));
    const id = (await said('ls', '-q')).trim();
    for (const reference of [name, short, id]) {
      expect(await said('rm', reference)).toBe(`untagged ${name}  ${short}\ndeleted ${short}\n`);
      expect(new ImageStore(stateDir).list()).toEqual([]);
      await new ImageStore(stateDir).import(archive);
    }
    await said('rm', `${name.replace(/:.*/, '')}@${new ImageStore(stateDir).list()[0]?.repoDigests[0]?.split('@')[1]}`);
    expect(readdirSync(join(stateDir, 'images'))).toEqual([]);
  });

  it('gives more names at the import and at a second one', async () => {
    const line = (name: string): RegExp => new RegExp(`^imported ${name}  [0-9a-f]{12}  \\d.*\n`, 'm');
    const first = await said('import', archive, '--name', 'shop.example/web:2');
    expect(first.trim().split('\n')).toHaveLength(2);
    for (const name of [TEST_IMAGE, 'shop.example/web:2']) expect(first).toMatch(line(name));
    const second = await said('import', archive, '--name', 'web');
    for (const name of [TEST_IMAGE, 'web:latest']) expect(second).toMatch(line(name));
    expect(second).not.toContain('shop.example');
    expect((await said('ls', '--no-headers')).split('\n').map((line) => line.split(' ')[0])).toEqual([
      TEST_IMAGE,
      'shop.example/web:2',
      'web:latest',
      `${HOST_IMAGE}:latest`,
      '',
    ]);
  });

  it('takes one name away from an image that has others, and says what it does', async () => {
    await said('import', archive, '--name', 'web', '--name', 'web:2');
    const [image] = new ImageStore(stateDir).list();
    const short = image?.id.slice('sha256:'.length, 'sha256:'.length + 12);
    expect(await said('rm', 'web')).toBe(`untagged web:latest  ${short}\n`);
    expect((await said('ls', '--no-headers')).split('\n').map((line) => line.split(' ')[0])).toEqual([
      TEST_IMAGE,
      'web:2',
      `${HOST_IMAGE}:latest`,
      '',
    ]);
    expect(await refused('rm', 'web')).toContain('no image "web"');
    await said('import', archive, '--name', 'web');
    expect(await said('rm', 'web:2', 'web')).toBe(`untagged web:2  ${short}\nuntagged web:latest  ${short}\n`);
    expect(new ImageStore(stateDir).list()[0]?.repoDigests.some((digest) => digest.includes('/web@'))).toBe(false);
    await said('import', archive, '--name', 'web');
    expect(await said('rm', 'web', TEST_IMAGE)).toBe(
      `untagged web:latest  ${short}\nuntagged ${TEST_IMAGE}  ${short}\ndeleted ${short}\n`,
    );
    await said('import', archive, '--name', 'web');
    expect(await said('rm', short ?? '')).toBe(
      `untagged web:latest  ${short}\nuntagged ${TEST_IMAGE}  ${short}\ndeleted ${short}\n`,
    );
    expect(await said('ls', '-q')).toBe('');
  });

  it('says what is wrong with an archive, and leaves nothing of it', async () => {
    const whole = imageArchive();
    writeFileSync(archive, whole.subarray(0, whole.length - 300_000));
    expect(await refused('import', archive)).toMatch(
      /^error: \/.*\.tar: an archive ends \d+ bytes .*\n(.*\n)* {2}remedy: {2}make the archive anew/,
    );
    writeFileSync(archive, Buffer.from('no archive at all'.repeat(100)));
    expect(await refused('import', archive)).toContain('is it a tar archive?');
    const changed = Buffer.from(whole);
    changed.write('W', changed.indexOf('podwire\n'));
    writeFileSync(archive, changed);
    expect(await refused('import', archive)).toMatch(/^error: layer sha256:\w+ of the archive has digest sha256:\w+\n/);
    // A folder that is none holds no images either, and is not taken for an empty one.
    writeFileSync(join(folder, 'file'), '');
    const { stderr, exitCode } = await runChild(
      process.execPath,
      [...podwireArgv('image', 'ls', '--state-dir', join(folder, 'file'))].slice(1),
    );
    expect([stderr.toString(), exitCode]).toEqual([expect.stringContaining('is no folder'), 1]);
    expect(await refused('import', join(folder, 'none.tar'))).toMatch(/none\.tar cannot be read: ENOENT/);
    expect(readdirSync(join(stateDir, 'images'))).toEqual([]);
  });

  it('names what it does not know, with what may be meant', async () => {
    await said('import', archive);
    expect(await refused('rm', 'podwire.local/busybos:1')).toContain(`did you mean ${TEST_IMAGE}?`);
    expect(await refused('rm', TEST_IMAGE, 'other')).toMatch(
      /no image "other".*\n(.*\n)* {2}remedy: {2}look what there is: podwire image ls/,
    );
    expect(await refused('rm', HOST_IMAGE)).toContain('is built in and cannot be removed');
    expect(await said('ls', '-q')).not.toBe('');
    expect(await refused('lss')).toContain('did you mean ls?');
    expect(await refused('rm')).toContain('image rm needs an IMAGE');
  });

  it('completes verbs, files and the names of what is there', async () => {
    await said('import', archive);
    const complete = async (...words: string[]): Promise<string[]> => {
      const [node = '', ...argv] = podwireArgv('__complete', 'image', ...words);
      return (await runChild(node, argv)).stdout
        .toString()
        .split('\n')
        .map((line) => line.split('\t')[0] ?? '');
    };
    expect(await complete('')).toEqual(['import', 'ls', 'rm', ':4', '']);
    expect(await complete('import', '')).toEqual([':0', '']);
    expect(await complete('rm', '--state-dir', stateDir, 'podw')).toEqual([TEST_IMAGE, ':4', '']);
  });

  it('loses no image and no name when many write at once', async () => {
    const names = Array.from({ length: 6 }, (_, at) => `name-${at}:1`);
    await Promise.all(names.map((name) => said('import', archive, '--name', name)));
    const lines = (await said('ls', '--no-headers')).split('\n');
    expect(lines.filter((line) => line.startsWith('name-')).map((line) => line.split(' ')[0])).toEqual(names);
    expect(readdirSync(join(stateDir, 'images'))).toHaveLength(1);
    // Whoever removes meanwhile: what is there in the end is whole, or not there.
    await Promise.all([
      image('import', archive),
      image('rm', TEST_IMAGE),
      image('import', archive),
      image('rm', TEST_IMAGE),
    ]);
    for (const found of new ImageStore(stateDir).list()) expect(readdirSync(found.rootfs)).toContain('bin');
  });
});

describe.skipIf(obstacle !== undefined)(
  `podwire image beside a runtime${obstacle === undefined ? '' : ` (${obstacle})`}`,
  () => {
    it('is seen by it at once, and lets no image go that a container is made of', async () => {
      writeFileSync(archive, imageArchive());
      await using client = await runtime();
      const sandboxConfig = {
        metadata: { name: 'p', namespace: 'n', uid: 'u' },
        linux: { securityContext: { namespaceOptions: { network: 2 } } },
      };
      const { podSandboxId } = await client.runtime.runPodSandbox({ config: sandboxConfig });
      const config = { metadata: { name: 'c' }, image: { image: TEST_IMAGE }, command: ['sleep', '1000'], linux: {} };
      const create = () => client.runtime.createContainer({ podSandboxId, config, sandboxConfig });
      await expect(create()).rejects.toThrow('podwire image import');
      await said('import', archive);
      const { containerId } = await create();
      expect(await refused('rm', TEST_IMAGE)).toMatch(/ is in use by a container\n(.*\n)* {2}remedy: /);
      await client.runtime.startContainer({ containerId });
      expect(await refused('rm', TEST_IMAGE)).toContain('in use');
      expect(await said('rm', '--force', TEST_IMAGE)).toContain('deleted');
      const { stdout } = await client.runtime.execSync({ containerId, cmd: ['ls', '/bin/busybox'] });
      expect(Buffer.from(stdout).toString()).toBe('/bin/busybox\n');
      await client.runtime.removeContainer({ containerId });
      await said('import', archive);
      expect(await said('rm', TEST_IMAGE)).toContain('deleted');
      await client.close();
    });
  },
);

describe.skipIf(process.getuid?.() !== 0 || findBusybox() === undefined)('without root', () => {
  const asNobody = async (...args: string[]): Promise<ChildResult> => {
    const argv = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups', ...podwireArgv(...args)];
    return runChild('setpriv', argv, { env: { PATH: process.env['PATH'], HOME: folder } });
  };

  beforeEach(() => {
    writeFileSync(archive, imageArchive());
    chmodSync(folder, 0o755);
    mkdirSync(stateDir);
    chownSync(stateDir, NOBODY, NOBODY);
  });

  it('images can be taken in and removed, and the host image runs as who started it', async () => {
    expect((await asNobody('image', 'import', '--state-dir', stateDir, archive)).stdout.toString()).toContain(
      'imported',
    );
    const demo = await asNobody('demo', '--state-dir', join(stateDir, 'demo'), '--', 'id', '-u');
    expect([demo.stdout.toString(), demo.exitCode]).toEqual([`${NOBODY}\n`, 0]);
    expect((await asNobody('image', 'rm', '--state-dir', stateDir, TEST_IMAGE)).stdout.toString()).toContain('deleted');
  });
});
