import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mustRun } from '../../test/support/child.ts';
import { ContainerLog } from './container-log.ts';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'podwire-log-'));
  path = join(directory, 'pod/main/0.log');
});

afterEach(() => rmSync(directory, { recursive: true }));

const entries = (file = path): string[] => {
  const lines = readFileSync(file, 'latin1').split('\n');
  // What stands behind the last newline would be half an entry.
  expect(lines.pop()).toBe('');
  return lines.map((line) => {
    expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) [PF] /);
    return line.slice(31);
  });
};

describe('a container log', () => {
  it('has one entry for each line, with stream and tag; the last line without newline is partial', async () => {
    const log = await ContainerLog.open(path);
    log.write('stdout', Buffer.from('one\r\n\ntw'));
    log.write('stderr', Buffer.from('oops\n'));
    log.write('stdout', Buffer.from('o\nend'));
    await log.close();
    expect(entries()).toEqual(['stdout F one', 'stdout F ', 'stderr F oops', 'stdout F two', 'stdout P end']);
    expect(statSync(path).mode & 0o777 & ~0o022).toBe(0o640);
  });

  it('splits lines longer than 16384 bytes, and no shorter ones', async () => {
    const log = await ContainerLog.open(path);
    log.write('stdout', Buffer.from(`${'a'.repeat(16_384)}\n${'b'.repeat(16_385)}\n${'c'.repeat(40_000)}\n`));
    await log.close();
    expect(entries().map((entry) => [entry.slice(0, 8), entry.length - 9])).toEqual([
      ['stdout F', 16_384],
      ['stdout P', 16_384],
      ['stdout F', 1],
      ['stdout P', 16_384],
      ['stdout P', 16_384],
      ['stdout F', 7232],
    ]);
  });

  it.skipIf(process.platform !== 'linux')(
    'holds nobody while its disk takes nothing, and then has everything',
    async () => {
      // A pipe that nobody reads stands for a disk that hangs.
      const pipe = join(directory, 'hangs');
      execFileSync('mkfifo', [pipe]);
      const reader = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
      const log = await ContainerLog.open(pipe);
      const lines: string[] = [];
      do lines.push(`line ${lines.length} ${'x'.repeat(1000)}`);
      while (log.write('stdout', Buffer.from(`${lines.at(-1)}\n`)));
      let text = '';
      const source = new Socket({ fd: reader, readable: true, writable: false });
      source.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      await log.close();
      while (text.split('\n').length <= lines.length) await once(source, 'data');
      source.destroy();
      expect(text.split('\n').map((line) => line.slice(40))).toEqual([...lines, '']);
    },
  );

  it('goes on in a new file after reopening, with nothing lost and nothing twice', async () => {
    const log = await ContainerLog.open(path);
    log.write('stdout', Buffer.from('old\n'));
    renameSync(path, `${path}.1`);
    await log.reopen();
    log.write('stdout', Buffer.from('new\n'));
    await log.close();
    expect([entries(`${path}.1`), entries()]).toEqual([['stdout F old'], ['stdout F new']]);
  });

  it('leaves no file open when the container ends while it is reopened', async () => {
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    const log = await ContainerLog.open(path);
    const reopened = log.reopen();
    await log.close();
    await reopened;
    await log.reopen();
    expect(open()).toBe(before);
  });

  it('asks for a pause when the disk is behind', async () => {
    const log = await ContainerLog.open(path);
    // Less than this is written at once, and there is nothing to be behind with.
    const lines = Buffer.from(`${'x'.repeat(10_000)}\n`.repeat(2));
    let writes = 1;
    while (writes < 60 && log.write('stdout', lines)) writes += 1;
    expect(writes).toBeLessThan(60);
    await log.settled();
    expect(log.write('stdout', lines)).toBe(true);
    await log.close();
    expect(entries().length).toBe(2 * (writes + 1));
  });

  it('gives the lines back whatever the chunks were', async () => {
    const lines = fc.array(fc.string({ unit: fc.constantFrom('a', ' ', 'ü', 'F'), maxLength: 40 }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(lines, fc.infiniteStream(fc.integer({ min: 1, max: 30 })), async (wanted, sizes) => {
        rmSync(path, { force: true });
        const log = await ContainerLog.open(path);
        let rest = Buffer.from(wanted.map((line) => `${line}\n`).join(''));
        for (const size of sizes) {
          if (rest.length === 0) break;
          log.write('stdout', rest.subarray(0, size));
          rest = rest.subarray(size);
        }
        await log.close();
        expect(entries().map((entry) => Buffer.from(entry.slice(9), 'latin1').toString())).toEqual(wanted);
      }),
      { numRuns: 50 },
    );
  });
});

describe.skipIf(process.platform !== 'linux' || process.getuid?.() !== 0)('a container log on a full disk', () => {
  const LINE = 'x'.repeat(5000);
  const full = `stdout F ${LINE}`;
  let disk: string;
  let filler: string;

  beforeEach(async () => {
    disk = join(directory, 'disk');
    path = join(disk, '0.log');
    filler = join(disk, 'filler');
    mkdirSync(disk);
    await mustRun('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'podwire-full', disk]);
    writeFileSync(filler, Buffer.alloc(40_000));
  });

  afterEach(() => mustRun('umount', ['-l', disk]));

  /** Fills the disk by single lines, as a container does that is not in a hurry. */
  const fill = async (log: ContainerLog): Promise<void> => {
    for (let line = 0; line < 10; line += 1) {
      log.write('stdout', Buffer.from(`${LINE}\n`));
      await log.settled();
    }
  };

  it('has whole entries alone at every moment, and those that come after space is freed', async () => {
    const log = await ContainerLog.open(path);
    await fill(log);
    const whole = entries();
    expect(whole.length).toBeGreaterThan(2);
    expect(whole).toEqual(whole.map(() => full));
    rmSync(filler);
    log.write('stdout', Buffer.from('after 1\nafter 2\n'));
    await log.close();
    expect(entries()).toEqual([...whole, 'stdout F after 1', 'stdout F after 2']);
  });

  it('keeps of many entries at once those that the disk took', async () => {
    const log = await ContainerLog.open(path);
    log.write('stdout', Buffer.from(`${LINE}\n`.repeat(20)));
    await log.settled();
    const whole = entries();
    expect(whole.length).toBeGreaterThan(2);
    rmSync(filler);
    log.write('stdout', Buffer.from('after\n'));
    await log.close();
    expect(entries()).toEqual([...whole, 'stdout F after']);
  });

  it('writes what came while an entry was lost, without waiting for more', async () => {
    const log = await ContainerLog.open(path);
    log.write('stdout', Buffer.from(`${LINE}\n`.repeat(20)));
    // The first write is under way by now.
    await Promise.resolve().then(() => log.write('stderr', Buffer.from('short\n')));
    await log.settled();
    expect(entries().at(-1)).toBe('stderr F short');
    await log.close();
  });

  it('goes on with whole entries in a new file', async () => {
    const log = await ContainerLog.open(path);
    await fill(log);
    const old = `${path}.1`;
    const whole = entries();
    renameSync(path, old);
    rmSync(filler);
    await log.reopen();
    log.write('stdout', Buffer.from('after\n'));
    await log.close();
    expect([entries(old), entries()]).toEqual([whole, ['stdout F after']]);
  });

  it('is reopened at the same file, as somebody does who made space only', async () => {
    const log = await ContainerLog.open(path);
    await fill(log);
    const whole = entries();
    rmSync(filler);
    await log.reopen();
    log.write('stdout', Buffer.from('after\n'));
    await log.close();
    expect(entries()).toEqual([...whole, 'stdout F after']);
  });

  it('is left alone by a cut where somebody emptied the file meanwhile', async () => {
    const log = await ContainerLog.open(path);
    log.write('stdout', Buffer.from('before\n'));
    await log.settled();
    writeFileSync(path, '');
    await fill(log);
    const whole = entries();
    rmSync(filler);
    log.write('stdout', Buffer.from('after\n'));
    await log.close();
    expect(entries()).toEqual([...whole, 'stdout F after']);
  });

  it('tells who goes on with it how long it really is', async () => {
    const restFile = join(directory, 'rest');
    const log = await ContainerLog.open(path, { restFile });
    await fill(log);
    log.write('stdout', Buffer.from('begun'));
    expect(JSON.parse(readFileSync(restFile, 'utf8'))).toMatchObject({ logBytes: statSync(path).size });
    log.suspend();
    await log.close();
    const whole = entries();
    rmSync(filler);
    const next = await ContainerLog.open(path, { restFile, isRestored: true });
    next.write('stdout', Buffer.from(' and ended\n'));
    await next.close();
    expect(entries()).toEqual([...whole, 'stdout F begun and ended']);
  });
});
