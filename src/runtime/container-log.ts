import diagnostics from 'node:diagnostics_channel';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LogRest } from './log-rest.ts';

/** A longer line is split; each part but the last is tagged `P`. Bytes, without the newline. */
const MAX_LINE_BYTES = 16_384;
/**
 * Entries that wait for the disk; beyond it {@link ContainerLog.write} asks for a pause. No write is done while others
 * wait, however short: a disk that does not answer must not hold every container. Being killed loses what waits.
 */
const QUEUE_BYTES = 256 * 1024;
/** No entry is longer than this: its line, a time, a stream and a tag. */
const MAX_ENTRY_BYTES = MAX_LINE_BYTES + 64;
const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const newlineBytes = Buffer.from([NEWLINE]);

/** Gets `{ path, error }` when log lines were lost: a full disk does not stop a container. */
const logLost = diagnostics.channel('podwire:runtime:log-lost');

export type LogStream = 'stdout' | 'stderr';

export interface ContainerLogOptions {
  /** Where the beginning of a line waits for the rest of it, also for the next runtime. Default: in memory alone. */
  readonly restFile?: string;
  /** Goes on with a log and a rest that a runtime left that was killed. */
  readonly isRestored?: boolean;
}

/**
 * The log file of one container: `<time> <stream> <P|F> <line>`, one entry for each line.
 *
 * Owns: the file, the rest file.
 * @see cri.md 7
 */
export class ContainerLog {
  readonly #path: string;
  #file: FileHandle;
  readonly #partial: Record<LogStream, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #work: Promise<void> = Promise.resolve();
  #isWriting = false;
  /** Bytes of half an entry at the file's end: of one that the disk did not take whole, until they are cut off. */
  #tornBytes = 0;
  readonly #rest: LogRest | undefined;
  /** Length of the file when everything queued is in it. */
  #bytes: number;
  #isSuspended = false;
  #isClosed = false;

  private constructor(path: string, file: FileHandle, bytes: number, rest: LogRest | undefined) {
    this.#path = path;
    this.#file = file;
    this.#bytes = bytes;
    this.#rest = rest;
  }

  /** Opens the file to append to it, mode 0640; its directory is made when missing. */
  static async open(path: string, { restFile, isRestored = false }: ContainerLogOptions = {}): Promise<ContainerLog> {
    const file = await openLog(path);
    try {
      const bytes = isRestored ? await mendTail(path) : (await file.stat()).size;
      if (restFile === undefined) return new ContainerLog(path, file, bytes, undefined);
      if (!isRestored) return new ContainerLog(path, file, bytes, LogRest.create(restFile));
      const { keeper, rest } = LogRest.restore(restFile, bytes);
      const log = new ContainerLog(path, file, bytes, keeper);
      log.#partial.stdout = rest.stdout;
      log.#partial.stderr = rest.stderr;
      keeper.write(rest, bytes);
      return log;
    } catch (thrown) {
      await file.close();
      throw thrown;
    }
  }

  /**
   * @param chunk must not be changed afterwards
   * @returns false when the disk is behind: await {@link settled} before the next write
   */
  write(stream: LogStream, chunk: Uint8Array): boolean {
    let rest = this.#partial[stream];
    rest = rest.length === 0 ? asBuffer(chunk) : Buffer.concat([rest, chunk]);
    const time = timestamp();
    const full = Buffer.from(`${time} ${stream} F `);
    const entries: Buffer[] = [];
    for (;;) {
      const newline = rest.indexOf(NEWLINE);
      const length = newline === -1 ? rest.length : newline;
      if (length > MAX_LINE_BYTES) {
        entries.push(...partialEntry(time, stream, rest.subarray(0, MAX_LINE_BYTES)));
        rest = rest.subarray(MAX_LINE_BYTES);
      } else if (newline === -1) break;
      else {
        if (newline > 0 && rest[newline - 1] === CARRIAGE_RETURN) {
          entries.push(full, rest.subarray(0, newline - 1), newlineBytes);
        } else entries.push(full, rest.subarray(0, newline + 1));
        rest = rest.subarray(newline + 1);
      }
    }
    // A copy: what is left of a chunk must not keep the whole chunk.
    this.#partial[stream] = Buffer.from(rest);
    this.#enqueue(entries);
    this.#keepRest();
    return this.#queuedBytes < QUEUE_BYTES;
  }

  /** Everything written so far is on its way to the file, or lost. */
  settled(): Promise<void> {
    return this.#work;
  }

  /** From now on writes to a new file at the same path; the old one gets nothing more. */
  async reopen(): Promise<void> {
    const file = await openLog(this.#path);
    const old = this.#file;
    await this.#then(async () => {
      // The container's end came first: nobody else would close it.
      if (this.#isClosed) return file.close();
      try {
        await this.#flush();
      } finally {
        this.#file = file;
        this.#tornBytes = 0;
        await this.#countBytes();
        await old.close();
      }
    });
  }

  /** From now on the beginning of a line stays in the rest file at {@link close}, for who goes on with the log. */
  suspend(): void {
    this.#isSuspended = this.#rest !== undefined;
  }

  /** A last line without newline becomes a `P` entry. Twice is once. */
  async close(): Promise<void> {
    if (!this.#isSuspended) this.#giveRest();
    await this.#work;
    const wasClosed = this.#isClosed;
    this.#isClosed = true;
    if (!wasClosed) this.#rest?.close();
    await this.#file.close().catch(() => {});
  }

  #giveRest(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const rest = this.#partial[stream];
      this.#partial[stream] = Buffer.alloc(0);
      if (rest.length > 0) this.#enqueue(partialEntry(timestamp(), stream, rest));
    }
    if (!this.#isClosed) this.#keepRest();
  }

  #keepRest(): void {
    try {
      this.#rest?.write(this.#partial, this.#bytes);
    } catch (error) {
      logLost.publish({ path: this.#path, error });
    }
  }

  #enqueue(entries: readonly Buffer[]): void {
    if (entries.length === 0) return;
    let bytes = 0;
    for (const part of entries) bytes += part.length;
    this.#bytes += bytes;
    this.#queuedBytes += bytes;
    this.#queue.push(...entries);
    if (this.#isWriting) return;
    this.#isWriting = true;
    void this.#then(() => this.#flush());
  }

  /** Steps run one after the other; one that fails does not keep the next from running. */
  #then(step: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(step).catch((error: unknown) => {
      logLost.publish({ path: this.#path, error });
    });
    return this.#work;
  }

  /** What the disk does not take is lost, and only that: the rest of the queue has its own try. */
  async #flush(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        const bytes = Buffer.concat(this.#queue);
        this.#queue = [];
        this.#queuedBytes = 0;
        await this.#append(bytes).catch((error: unknown) => {
          logLost.publish({ path: this.#path, error });
        });
      }
    } finally {
      this.#isWriting = false;
    }
  }

  /**
   * Whole entries, as many as the disk takes. Half an entry is taken away at once rather than completed later: whoever
   * reads the file meanwhile, or is left with it for good, must not take half a line for a line.
   */
  async #append(bytes: Buffer): Promise<void> {
    let written = 0;
    try {
      if (this.#tornBytes > 0) await this.#cutTorn();
      while (written < bytes.length) written += (await this.#file.write(bytes, written)).bytesWritten;
    } catch (thrown) {
      // No entry has a newline but at its end.
      if (written > 0) this.#tornBytes = written - (bytes.lastIndexOf(NEWLINE, written - 1) + 1);
      if (this.#tornBytes > 0) await this.#cutTorn().catch(() => {});
      await this.#countBytes();
      throw thrown;
    }
  }

  /** By the file's own length: somebody else may have emptied it. */
  async #cutTorn(): Promise<void> {
    const { size } = await this.#file.stat();
    await this.#file.truncate(Math.max(0, size - this.#tornBytes));
    this.#tornBytes = 0;
  }

  async #countBytes(): Promise<void> {
    const { size } = await this.#file.stat();
    this.#bytes = size + this.#queuedBytes;
    this.#keepRest();
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

async function openLog(path: string): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true });
  return open(path, 'a', 0o640);
}

/**
 * Takes away the entry that a writer had begun when it was killed: what is missing of it is not to be had again, and half
 * a line must not look like a whole one.
 *
 * @returns length of the file
 */
async function mendTail(path: string): Promise<number> {
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    const from = Math.max(0, size - MAX_ENTRY_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
    const end = buffer.lastIndexOf(NEWLINE, bytesRead) + 1;
    if (end === bytesRead) return size;
    await file.truncate(from + end);
    return from + end;
  } finally {
    await file.close();
  }
}

function partialEntry(time: string, stream: LogStream, line: Buffer): Buffer[] {
  return [Buffer.from(`${time} ${stream} P `), line, newlineBytes];
}

let clockOffsetMs = performance.timeOrigin;

/** RFC 3339 with nine digits, of which the clock knows six. */
function timestamp(): string {
  // The fine clock knows nothing of it when somebody sets the coarse one.
  if (Math.abs(Date.now() - clockOffsetMs - performance.now()) > 5) clockOffsetMs = Date.now() - performance.now();
  const micros = Math.floor((clockOffsetMs + performance.now()) * 1000);
  const seconds = new Date(Math.floor(micros / 1000)).toISOString().slice(0, 19);
  return `${seconds}.${String(micros % 1_000_000).padStart(6, '0')}000Z`;
}
