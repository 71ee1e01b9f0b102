import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseLogQuery } from './log-query.ts';
import { copyLog, LogLines, tailOffset } from './log-reader.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-logs-'));
  path = join(folder, '0.log');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (second: number): string => `2026-01-02T03:04:0${second}.5Z`;

const lines =
  `${at(1)} stdout F one\n` +
  `${at(2)} stderr F two\n` +
  `${at(3)} stdout P thr\n` +
  `${at(4)} stdout F ee\n` +
  'not a line of a log\n' +
  `${at(5)} stdout F \n` +
  `${at(6)} stdout F last`;

async function read(query = '', text = lines): Promise<string> {
  writeFileSync(path, text);
  const out: Buffer[] = [];
  await copyLog({
    path,
    query: parseLogQuery(new URLSearchParams(query)),
    write: async (bytes) => void out.push(bytes),
    isOver: async () => true,
    signal: new AbortController().signal,
  });
  return Buffer.concat(out).toString();
}

describe('the log of a container', () => {
  it.each([
    ['', 'one\ntwo\nthree\n\nlast\n'],
    ['follow=true', 'one\ntwo\nthree\n\nlast\n'],
    ['tailLines=2', '\nlast\n'],
    ['tailLines=0', ''],
    ['tailLines=99', 'one\ntwo\nthree\n\nlast\n'],
    ['limitBytes=5', 'one\nt'],
    ['stream=Stderr', 'two\n'],
    [`sinceTime=${at(5)}`, '\nlast\n'],
    [
      'timestamps=true&tailLines=6',
      `2026-01-02T03:04:02.500000000Z two\n2026-01-02T03:04:03.500000000Z three\n2026-01-02T03:04:05.500000000Z \n2026-01-02T03:04:06.500000000Z last\n`,
    ],
  ])('asked for by %j', async (query, expected) => {
    expect(await read(query)).toBe(expected);
  });

  it('in the form of docker', async () => {
    expect(await read('', `{"log":"a\\n","stream":"stdout","time":"${at(1)}"}\n`)).toBe('a\n');
  });

  it('is followed through a rotation until the container is over, and nothing is lost', async () => {
    writeFileSync(path, `${at(1)} stdout F one\n`);
    let seen = '';
    let isOver = false;
    const end = copyLog({
      path,
      query: parseLogQuery(new URLSearchParams('follow=true')),
      write: async (bytes) => {
        seen += bytes.toString();
        if (seen === 'one\n') appendFileSync(path, `${at(2)} stdout F two\n`);
        if (seen === 'one\ntwo\n') {
          renameSync(path, `${path}.old`);
          writeFileSync(path, `${at(3)} stdout F three\n`);
        }
        if (seen === 'one\ntwo\nthree\n') {
          appendFileSync(path, `${at(4)} stdout F four\n`);
          isOver = true;
        }
      },
      isOver: async () => isOver,
      signal: new AbortController().signal,
    });
    await end;
    expect(seen).toBe('one\ntwo\nthree\nfour\n');
  });

  it('gives the same however the file comes in chunks', () => {
    const whole = new LogLines(parseLogQuery(new URLSearchParams()));
    const expected = Buffer.concat([whole.take(Buffer.from(lines)), whole.end()]).toString();
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sizes) => {
        const reader = new LogLines(parseLogQuery(new URLSearchParams()));
        const bytes = Buffer.from(lines);
        const out: Buffer[] = [];
        for (let from = 0, turn = 0; from < bytes.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          out.push(reader.take(bytes.subarray(from, from + size)));
          from += size;
        }
        expect(Buffer.concat([...out, reader.end()]).toString()).toBe(expected);
      }),
      { numRuns: 100 },
    );
  });

  it('has its tail found by a look from the end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ maxLength: 3 }), { maxLength: 30 }), fc.nat(35), async (texts, count) => {
        const clean = texts.map((text) => text.replaceAll('\n', ''));
        const text = clean.map((one) => `${one}\n`).join('');
        writeFileSync(path, text);
        const file = await open(path);
        const offset = await tailOffset(file, count);
        await file.close();
        expect(Buffer.from(text).subarray(offset).toString()).toBe(
          count === 0
            ? ''
            : clean
                .slice(-count)
                .map((one) => `${one}\n`)
                .join(''),
        );
      }),
      { numRuns: 100 },
    );
  });

  it.each([
    ['tailLines=x', 400],
    ['sinceTime=yesterday', 400],
    ['tailLines=-1', 422],
    ['limitBytes=0', 422],
    ['sinceSeconds=0', 422],
    ['sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z', 422],
    ['stream=Stdout&tailLines=1', 422],
  ])('is refused by %j with %i', (query, status) => {
    expect(() => parseLogQuery(new URLSearchParams(query))).toThrow(expect.objectContaining({ status }));
  });
});
