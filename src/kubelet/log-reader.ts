import { watch } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { LogQuery } from './log-query.ts';

/** Bytes that are read at once. */
const READ_BYTES = 64 * 1024;

/** A line that is longer is none: runtimes cut theirs at 16 KiB. */
const MAX_LINE_BYTES = 1024 * 1024;

/** How long a follower waits at most before it looks again, in ms. */
const LOOK_MS = 1_000;

const NEWLINE = 0x0a;

export interface LogReading {
  /** The file that the container writes: it may be rotated away and made anew. */
  readonly path: string;
  readonly query: LogQuery;
  /** Takes output; resolves when it wants more. */
  readonly write: (bytes: Buffer) => Promise<void>;
  /** True when the container writes no more. */
  readonly isOver: () => Promise<boolean>;
  /** The reader left, or the kubelet stops. */
  readonly signal: AbortSignal;
}

/**
 * Copies a container's log: what is there, and with `follow` what comes, until the container is over and all was read.
 *
 * @throws what opening and reading the file throws
 * @see http-surfaces.md 6
 */
export async function copyLog({ path, query, write, isOver, signal }: LogReading): Promise<void> {
  let file = await open(path, 'r');
  try {
    const lines = new LogLines(query);
    let at = query.tailLines === undefined ? 0 : await tailOffset(file, query.tailLines);
    let isLast = !query.follow;
    for (;;) {
      at = await copyToEnd(file, at, { lines, write, signal });
      if (lines.isFull || signal.aborted) return;
      if (isLast) {
        await writeAll(write, lines.end());
        return;
      }
      if (await isReplaced(path, file)) {
        await file.close();
        file = await open(path, 'r');
        at = 0;
        lines.end();
        continue;
      }
      // What was written before it was over is read once more.
      isLast = await isOver();
      if (!isLast) await changed(path, signal);
    }
  } finally {
    await file.close();
  }
}

interface Copying {
  readonly lines: LogLines;
  readonly write: LogReading['write'];
  readonly signal: AbortSignal;
}

/** @returns where the file ended */
async function copyToEnd(file: FileHandle, from: number, { lines, write, signal }: Copying): Promise<number> {
  const buffer = Buffer.alloc(READ_BYTES);
  let at = from;
  while (!signal.aborted && !lines.isFull) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) break;
    at += bytesRead;
    await writeAll(write, lines.take(buffer.subarray(0, bytesRead)));
  }
  return at;
}

async function writeAll(write: LogReading['write'], bytes: Buffer): Promise<void> {
  if (bytes.length > 0) await write(bytes);
}

/** Makes output of the lines of a log file, however they come in chunks. */
export class LogLines {
  readonly #query: LogQuery;
  #rest: Buffer = Buffer.alloc(0);
  #isSkipping = false;
  /** The last entry went on, so the next one is its continuation. */
  #isWithin = false;
  #left: number;

  constructor(query: LogQuery) {
    this.#query = query;
    this.#left = query.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  /** The limit has been reached. */
  get isFull(): boolean {
    return this.#left <= 0;
  }

  /** @returns the output of the lines that `chunk` completes; a copy */
  take(chunk: Buffer): Buffer {
    const out: Buffer[] = [];
    let from = 0;
    for (;;) {
      const to = chunk.indexOf(NEWLINE, from);
      if (to === -1) break;
      const line = Buffer.concat([this.#rest, chunk.subarray(from, to)]);
      this.#rest = Buffer.alloc(0);
      from = to + 1;
      if (!this.#isSkipping) out.push(...this.#outputOf(line));
      this.#isSkipping = false;
    }
    const rest = Buffer.concat([this.#rest, chunk.subarray(from)]);
    this.#isSkipping ||= rest.length > MAX_LINE_BYTES;
    this.#rest = this.#isSkipping ? Buffer.alloc(0) : rest;
    return this.#limited(Buffer.concat(out));
  }

  /** @returns the output of a last line that nothing ends */
  end(): Buffer {
    const line = this.#rest;
    this.#rest = Buffer.alloc(0);
    return this.#limited(Buffer.concat(line.length === 0 ? [] : this.#outputOf(line)));
  }

  #limited(bytes: Buffer): Buffer {
    const cut = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes;
    this.#left -= cut.length;
    return cut;
  }

  #outputOf(line: Buffer): Buffer[] {
    const entry = parseEntry(line);
    if (entry === undefined) return [];
    const { time, stream, isPartial, text } = entry;
    const { sinceMs, timestamps, stream: wanted } = this.#query;
    if (wanted !== undefined && stream !== wanted) return [];
    if (sinceMs !== undefined && Date.parse(time) < sinceMs) return [];
    const isWithin = this.#isWithin;
    this.#isWithin = isPartial;
    const stamp = timestamps && !isWithin ? [Buffer.from(`${nanoseconds(time)} `)] : [];
    return [...stamp, text, ...(isPartial ? [] : [Buffer.from('\n')])];
  }
}

interface LogEntry {
  readonly time: string;
  readonly stream: string;
  /** The line goes on in the next entry. */
  readonly isPartial: boolean;
  readonly text: Buffer;
}

/** `TIME STREAM TAGS TEXT`, or one of docker's JSON lines; anything else is no entry. */
function parseEntry(line: Buffer): LogEntry | undefined {
  if (line[0] === 0x7b) return dockerEntry(line);
  const time = line.indexOf(0x20);
  const stream = line.indexOf(0x20, time + 1);
  if (time === -1 || stream === -1) return undefined;
  const tags = line.indexOf(0x20, stream + 1);
  const tagsEnd = tags === -1 ? line.length : tags;
  const [tag = ''] = line
    .subarray(stream + 1, tagsEnd)
    .toString()
    .split(':');
  if (tag !== 'F' && tag !== 'P') return undefined;
  return {
    time: line.subarray(0, time).toString(),
    stream: line.subarray(time + 1, stream).toString(),
    isPartial: tag === 'P',
    text: tags === -1 ? Buffer.alloc(0) : line.subarray(tags + 1),
  };
}

function dockerEntry(line: Buffer): LogEntry | undefined {
  try {
    const { log = '', stream = '', time = '' } = JSON.parse(line.toString()) as Partial<Record<string, string>>;
    const isPartial = !log.endsWith('\n');
    return { time, stream, isPartial, text: Buffer.from(isPartial ? log : log.slice(0, -1)) };
  } catch {
    return undefined;
  }
}

/** A time with nine digits behind the seconds. */
function nanoseconds(time: string): string {
  const [, head = time, fraction = '', zone = ''] = /^([^.Z+]*?T[\d:]+)(?:\.(\d+))?(Z|[+-][\d:]+)$/.exec(time) ?? [];
  return zone === '' ? time : `${head}.${fraction.slice(0, 9).padEnd(9, '0')}${zone}`;
}

/** Where the last `lines` lines of a file begin. */
export async function tailOffset(file: FileHandle, lines: number): Promise<number> {
  const { size } = await file.stat();
  if (lines === 0) return size;
  const buffer = Buffer.alloc(READ_BYTES);
  let left = lines;
  let end = size;
  while (end > 0) {
    const from = Math.max(0, end - READ_BYTES);
    const { bytesRead } = await file.read(buffer, 0, end - from, from);
    for (let at = bytesRead - 1; at >= 0; at -= 1) {
      // The newline that ends the file ends its last line.
      if (buffer[at] !== NEWLINE || from + at === size - 1) continue;
      left -= 1;
      if (left === 0) return from + at + 1;
    }
    end = from;
  }
  return 0;
}

/** Has the runtime begun another file under the same name? */
async function isReplaced(path: string, file: FileHandle): Promise<boolean> {
  const now = await stat(path).catch(() => undefined);
  return now !== undefined && now.ino !== (await file.stat()).ino;
}

/** Waits until something changes in the folder, or for a while. */
function changed(path: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      clearTimeout(timer);
      watcher?.close();
      signal.removeEventListener('abort', settle);
      resolve();
    };
    const timer = setTimeout(settle, LOOK_MS);
    signal.addEventListener('abort', settle);
    let watcher: ReturnType<typeof watch> | undefined;
    try {
      watcher = watch(dirname(path), settle);
      watcher.on('error', settle);
    } catch {
      // The system has no watch left: the timer does it.
    }
    if (signal.aborted) settle();
  });
}
