import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runSeed } from '../support/seed.ts';

const DIRECTORY = '.soak';

interface Saved {
  readonly seed: number;
  readonly done: number;
}

/**
 * How far a long run has come, kept in `.soak/NAME.json`, so that the next start goes on where the last one ended.
 * A run that is complete, or one with another seed given, begins anew.
 */
export class Progress {
  readonly seed: number;
  /** Rounds that are over, from the first on. */
  #done: number;
  readonly #file: string;

  private constructor(file: string, saved: Saved) {
    this.#file = file;
    this.seed = saved.seed;
    this.#done = saved.done;
  }

  static open(name: string): Progress {
    mkdirSync(DIRECTORY, { recursive: true });
    const file = join(DIRECTORY, `${name}.json`);
    const saved = process.env['SEED'] === undefined ? read(file) : undefined;
    if (saved !== undefined) console.log(`${name}: goes on after round ${saved.done}, SEED=${saved.seed}`);
    return new Progress(file, saved ?? { seed: runSeed(name), done: 0 });
  }

  get done(): number {
    return this.#done;
  }

  /** `count` more rounds are over, and all was well. */
  advance(count: number): void {
    this.#done += count;
    const saved: Saved = { seed: this.seed, done: this.#done };
    writeFileSync(`${this.#file}.new`, JSON.stringify(saved));
    renameSync(`${this.#file}.new`, this.#file);
  }

  /** All rounds are over. */
  finish(): void {
    rmSync(this.#file, { force: true });
  }
}

function read(file: string): Saved | undefined {
  try {
    const { seed, done } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Saved>;
    return typeof seed === 'number' && typeof done === 'number' ? { seed, done } : undefined;
  } catch {
    return undefined;
  }
}

/** The rounds of a run: the environment variable ROUNDS, or `usual`. */
export function roundCount(usual: number): number {
  const text = process.env['ROUNDS'];
  const count = text === undefined ? usual : Number(text);
  if (!Number.isInteger(count) || count < 1) throw new RangeError(`ROUNDS ${text} is not a positive integer`);
  return count;
}
