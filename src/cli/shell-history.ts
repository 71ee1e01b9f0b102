import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Lines that are kept; twice as many may be in the file before it is cut. */
export const HISTORY_LINES = 1000;

/**
 * What was typed at the prompt of `podwire shell`, oldest first in the file. Only the owner may read it (0600). Several
 * shells append to one file. A history that cannot be read or written is none: it never stops a command.
 */
export class ShellHistory {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** @returns newest first, as node:readline wants it */
  async load(): Promise<string[]> {
    const text = await readFile(this.#path, 'utf8').catch(() => '');
    const lines = text.split('\n').filter((line) => line !== '');
    if (lines.length > 2 * HISTORY_LINES) await this.#rewrite(lines.slice(-HISTORY_LINES));
    return lines.slice(-HISTORY_LINES).toReversed();
  }

  /** As other shells: a line that begins with a blank is not kept. */
  async add(line: string): Promise<void> {
    if (line.trim() === '' || line.startsWith(' ')) return;
    try {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
      await appendFile(this.#path, `${line}\n`, { mode: 0o600 });
    } catch {
      // The prompt goes on without a history.
    }
  }

  async #rewrite(lines: readonly string[]): Promise<void> {
    await writeFile(this.#path, `${lines.join('\n')}\n`, { mode: 0o600 }).catch(() => {});
  }
}
