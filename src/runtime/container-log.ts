import diagnostics from 'node:diagnostics_channel';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A longer line is split; each part but the last is tagged `P`. Bytes, without the newline. */
const MAX_LINE_BYTES = 16_384;
/** Entries that wait for the disk; beyond it {@link ContainerLog.write} asks for a pause. */
const QUEUE_BYTES = 256 * 1024;
const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const newlineBytes = Buffer.from([NEWLINE]);

/** Gets `{ path, error }` when log lines were lost: a full disk does not stop a container. */
const logLost = diagnostics.channel('podwire:runtime:log-lost');

export type LogStream = 'stdout' | 'stderr';

/**
 * The log file of one container: `<time> <stream> <P|F> <line>`, one entry for each line.
 *
 * Owns: the file.
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

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** Opens the file to append to it, mode 0640; its directory is made when missing. */
  static async open(path: string): Promise<ContainerLog> {
    return new ContainerLog(path, await openLog(path));
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
      try {
        await this.#flush();
      } finally {
        this.#file = file;
        await old.close();
      }
    });
  }

  /** A last line without newline becomes a `P` entry. Twice is once. */
  async close(): Promise<void> {
    for (const stream of ['stdout', 'stderr'] as const) {
      const rest = this.#partial[stream];
      this.#partial[stream] = Buffer.alloc(0);
      if (rest.length > 0) this.#enqueue(partialEntry(timestamp(), stream, rest));
    }
    await this.#work;
    await this.#file.close().catch(() => {});
  }

  #enqueue(entries: readonly Buffer[]): void {
    if (entries.length === 0) return;
    for (const part of entries) this.#queuedBytes += part.length;
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

  async #flush(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        const bytes = Buffer.concat(this.#queue);
        this.#queue = [];
        this.#queuedBytes = 0;
        await this.#file.appendFile(bytes);
      }
    } finally {
      this.#isWriting = false;
    }
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

async function openLog(path: string): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true });
  return open(path, 'a', 0o640);
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
