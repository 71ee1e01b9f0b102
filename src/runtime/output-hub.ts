import { PassThrough, type Readable, Writable } from 'node:stream';
import { ExecPathError } from '../common/errors.ts';
import type { ContainerLog, LogStream } from './container-log.ts';
import type { RunningProcess } from './process/index.ts';

/** Bytes that wait for one slow attached reader before the container is stopped for it. */
const ATTACH_BUFFER_BYTES = 64 * 1024;

/** One attached user's ends of a container's streams. */
export interface Attachment {
  /** Goes nowhere when the container has none. Its end is the container's when {@link stdinOnce}. */
  readonly stdin: Writable;
  /** The container reads an end when this attachment's stdin ends, or when it is closed. */
  readonly stdinOnce: boolean;
  /** From now on, no history; `end` after the container's last byte, an error when output was cut. */
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Leaves the container as it is. Twice is once. */
  close(): void;
}

/**
 * Gives a container's output to its log and to everyone attached. A slow one stops the container, not the others'
 * bytes; who is still slow when the container has ended is cut off, so that the log gets everything.
 *
 * Owns: the process's stdout and stderr, the readers of the attached.
 */
export class OutputHub {
  /** Settles when the log has all output. */
  readonly ended: Promise<void>;
  readonly #process: RunningProcess;
  readonly #stdinOnce: boolean;
  readonly #readers: Record<LogStream, Set<PassThrough>> = { stdout: new Set(), stderr: new Set() };
  #hasEnded = false;

  /** @param stdinOnce whether the first attachment with input that ends, ends the container's input */
  constructor(process: RunningProcess, log: ContainerLog | undefined, stdinOnce: boolean) {
    this.#process = process;
    this.#stdinOnce = stdinOnce;
    const pumps = (['stdout', 'stderr'] as const).map((stream) => this.#pump(stream, process[stream], log));
    this.ended = Promise.all(pumps).then(async () => {
      this.#hasEnded = true;
      await log?.close();
    });
  }

  /** @param options.stdin whether this one brings input: only then may its end be the container's */
  attach(options: { readonly stdin: boolean }): Attachment {
    const stdout = this.#reader('stdout');
    const stderr = this.#reader('stderr');
    const stdinOnce = this.#stdinOnce && options.stdin;
    const stdin = this.#stdin(stdinOnce);
    return {
      stdin,
      stdinOnce,
      stdout,
      stderr,
      close: () => {
        for (const stream of [stdin, stdout, stderr]) stream.destroy();
      },
    };
  }

  /** Ends those who have not taken everything yet; what they miss is an error to them. */
  cutOff(): void {
    const cause = new ExecPathError('ERR_STREAM_TIMEOUT', 'attached reader was too slow to take the last output', {
      hop: 'runtime',
    });
    for (const reader of [...this.#readers.stdout, ...this.#readers.stderr]) reader.destroy(cause);
  }

  async #pump(stream: LogStream, source: Readable | undefined, log: ContainerLog | undefined): Promise<void> {
    if (source === undefined) return;
    const readers = this.#readers[stream];
    source.on('data', (chunk: Buffer) => {
      const waits: Promise<unknown>[] = [];
      if (log !== undefined && !log.write(stream, chunk)) waits.push(log.settled());
      for (const reader of readers) if (!reader.write(chunk)) waits.push(drainedOrGone(reader));
      if (waits.length === 0) return;
      source.pause();
      void Promise.all(waits).then(() => source.resume());
    });
    await new Promise((resolve) => source.once('close', resolve));
    for (const reader of readers) reader.end();
  }

  #reader(stream: LogStream): PassThrough {
    const reader = new PassThrough({ highWaterMark: ATTACH_BUFFER_BYTES });
    // Whoever reads it sees the error; nobody else has to.
    reader.on('error', () => {});
    if (this.#hasEnded || this.#process[stream] === undefined) return reader.end();
    this.#readers[stream].add(reader);
    reader.once('close', () => this.#readers[stream].delete(reader));
    return reader;
  }

  #stdin(stdinOnce: boolean): Writable {
    const target = this.#process.stdin;
    const leave = (): void => {
      if (stdinOnce) target?.end();
    };
    return new Writable({
      highWaterMark: ATTACH_BUFFER_BYTES,
      write: (chunk: Buffer, _encoding, done) => {
        // Another attachment with stdinOnce may have ended it: what comes now goes nowhere.
        if (target === undefined || target.writableEnded || target.destroyed) done();
        else target.write(chunk, () => done());
      },
      final: (done) => {
        leave();
        done();
      },
      destroy: (cause, done) => {
        leave();
        done(cause);
      },
    });
  }
}

async function drainedOrGone(reader: PassThrough): Promise<void> {
  await new Promise<void>((resolve) => {
    const settle = (): void => {
      reader.off('drain', settle).off('close', settle);
      resolve();
    };
    reader.on('drain', settle).on('close', settle);
  });
}
