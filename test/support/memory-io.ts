import { Readable, Writable } from 'node:stream';
import type { Io, LocalOutput } from '../../src/cli/index.ts';

/** Keeps what was written. As a real stdout it may be a terminal, or break. */
class MemoryOutput extends Writable implements LocalOutput {
  text = '';

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

/** An Io without a process: what a command reads and writes is in memory, signals are sent by the test. */
export class MemoryIo implements Io {
  readonly inIsTerminal = false;
  readonly out = new MemoryOutput();
  readonly err = new MemoryOutput();
  readonly env: NodeJS.ProcessEnv;
  readonly home = '/nonexistent';
  readonly command = [];
  readonly version = '1.2.3';
  readonly undos = new Set<() => void>();
  /** Codes that were asked for by `forceExit`. */
  readonly forced: number[] = [];
  /** How often stdin was asked for. */
  inputsOpened = 0;
  readonly #input: Readable;
  readonly #listeners = new Map<string, Set<(name: NodeJS.Signals) => void>>();

  constructor(input: Readable = Readable.from([]), env: NodeJS.ProcessEnv = {}) {
    this.#input = input;
    this.env = env;
  }

  readonly input = (): Readable => {
    this.inputsOpened += 1;
    return this.#input;
  };

  onSignal(names: readonly NodeJS.Signals[], listener: (name: NodeJS.Signals) => void): () => void {
    for (const name of names) this.#of(name).add(listener);
    return () => {
      for (const name of names) this.#of(name).delete(listener);
    };
  }

  atExit(undo: () => void): () => void {
    this.undos.add(undo);
    return () => this.undos.delete(undo);
  }

  forceExit(code: number): void {
    this.forced.push(code);
  }

  /** As if the process got it. @returns how many listened */
  signal(name: NodeJS.Signals): number {
    const listeners = [...this.#of(name)];
    for (const listener of listeners) listener(name);
    return listeners.length;
  }

  /** Listeners for signals that are still there. */
  get listening(): number {
    return [...this.#listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }

  #of(name: string): Set<(name: NodeJS.Signals) => void> {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set);
    return set;
  }
}
