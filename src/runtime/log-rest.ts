import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

/** What of each stream has come without its newline yet. */
export interface Rest {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/**
 * The beginnings of lines that are in no log yet, kept in a file for whoever writes the log after us.
 *
 * Each write is one line at the beginning of the file, so that a kill leaves the old one, or the new one with rubbish
 * behind. It says how long the log was by then: a log that is longer has the line already.
 *
 * Owns: the file's descriptor.
 */
export class LogRest {
  readonly #fd: number;
  #isEmpty = true;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** For a new log. */
  static create(file: string): LogRest {
    return new LogRest(openSync(file, 'w+', 0o600));
  }

  /**
   * @param logBytes length of the log now
   * @returns also what an earlier writer left
   */
  static restore(file: string, logBytes: number): { readonly keeper: LogRest; readonly rest: Rest } {
    const rest = readRest(file, logBytes);
    const keeper = LogRest.create(file);
    return { keeper, rest };
  }

  /** @param logBytes length of the log without the rest */
  write({ stdout, stderr }: Rest, logBytes: number): void {
    const isEmpty = stdout.length === 0 && stderr.length === 0;
    if (isEmpty && this.#isEmpty) return;
    this.#isEmpty = isEmpty;
    const kept = { logBytes, stdout: stdout.toString('base64'), stderr: stderr.toString('base64') };
    writeSync(this.#fd, `${JSON.stringify(kept)}\n`, 0);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function readRest(file: string, logBytes: number): Rest {
  const none = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  try {
    const [line = ''] = readFileSync(file, 'latin1').split('\n');
    const kept = JSON.parse(line) as Partial<Record<keyof Rest | 'logBytes', unknown>>;
    if (typeof kept.logBytes !== 'number' || kept.logBytes < logBytes) return none;
    if (typeof kept.stdout !== 'string' || typeof kept.stderr !== 'string') return none;
    return { stdout: Buffer.from(kept.stdout, 'base64'), stderr: Buffer.from(kept.stderr, 'base64') };
  } catch {
    return none;
  }
}
