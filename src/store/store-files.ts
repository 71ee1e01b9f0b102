import { closeSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ClassicLevel } from 'classic-level';
import { ExecPathError, toError } from '../common/errors.ts';
import type { PendingChanges } from './key-space.ts';
import type { StoreEntry, StoreEvent } from './store.ts';

/** Of what lies in the files. A later version may read it; this one refuses what it does not know. */
const FORMAT = 1;

/** What must be true of the files as a whole, written with every change. */
interface Summary {
  readonly format: number;
  readonly revision: number;
  /** Changes above this one are all there. */
  readonly compacted: number;
  /** How many keys there are. */
  readonly entries: number;
}

/** An entry as it is kept: with the time, ms since the epoch, at which it is to disappear. */
export interface KeptEntry {
  readonly entry: StoreEntry;
  readonly expiresAt: number | undefined;
}

/** What the files held when they were opened. */
export interface LoadedStore {
  readonly revision: number;
  readonly compacted: number;
  readonly entries: readonly KeptEntry[];
  /** The changes that are still held, oldest first. */
  readonly events: readonly StoreEvent[];
}

/**
 * The folders that this process has open. A second open in the same process is refused here: the library would refuse it
 * too, but the file that it closes on the way gives up the lock of the first.
 */
const openFolders = new Set<string>();

type Level = ClassicLevel;

const SUMMARY_KEY = 'summary';
/** `entry/KEY`: `CREATED MODIFIED EXPIRES\nVALUE`. */
const ENTRIES = 'entry/';
/** `change/REVISION`: `KEY`, or with what stood there before `KEY\nCREATED MODIFIED\nVALUE`. */
const CHANGES = 'change/';

/**
 * The file that says, beside the database, how far it had come. The library takes a log that is broken somewhere for one
 * whose last write was cut off, and leaves out the rest without a word.
 */
const REVISION_FILE = 'REVISION';

/** Digits enough for any safe integer, so that revisions sort as text. */
const REVISION_DIGITS = 16;

/**
 * The embedded store's files: one LevelDB folder. A commit is on disk when it resolves.
 *
 * Only what a change replaced is kept as history: what it wrote is what the next change of the key replaced, or what
 * stands there now.
 *
 * Owns: the database, and with it the kernel's lock on the folder.
 */
export class StoreFiles {
  readonly #folder: string;
  readonly #level: Level;
  #summary: Summary = { format: FORMAT, revision: 1, compacted: 1, entries: 0 };
  #revisionFile: number | undefined;
  /** A commit failed and nobody could tell yet whether it is on disk: the library takes no write until it is reopened. */
  #isStuck = false;

  private constructor(folder: string, level: Level) {
    this.#folder = folder;
    this.#level = level;
  }

  /**
   * @throws ExecPathError ERR_STATE_IN_USE, ERR_STORE_FILE, ERR_STORE_FULL, ERR_STORE_UNAVAILABLE when the library has
   * no binary for this machine
   */
  static async open(path: string): Promise<{ readonly files: StoreFiles; readonly loaded: LoadedStore }> {
    const folder = resolve(path);
    const library = await loadLibrary();
    await prepareFolder(folder);
    if (openFolders.has(folder)) throw inUse(folder, process.pid);
    openFolders.add(folder);
    const level = new library.ClassicLevel(folder, { compression: false });
    const files = new StoreFiles(folder, level);
    try {
      await files.#openLevel();
      const loaded = await files.#load();
      await files.#openRevisionFile(loaded.revision);
      return { files, loaded };
    } catch (thrown) {
      await files.close().catch(() => {});
      throw files.#failureOf(thrown);
    }
  }

  /**
   * Writes changes, all or none.
   *
   * @param expiryOf when the key of a put is to disappear, ms since the epoch
   * @param compacted forgets the changes up to this revision
   * @throws ExecPathError ERR_STORE_FULL when the disk is, ERR_STORE_FILE. Nothing was written then, unless
   * {@link isStuck} says that nobody knows yet
   */
  async commit(
    changes: PendingChanges,
    expiryOf: (entry: StoreEntry) => number | undefined,
    compacted: number,
  ): Promise<void> {
    const next: Summary = {
      ...this.#summary,
      revision: changes.events.at(-1)?.revision ?? this.#summary.revision,
      compacted,
      entries: this.#countAfter(changes),
    };
    const batch = this.#level.batch();
    for (const event of changes.events) batch.put(changeKey(event.revision), changeText(event));
    for (const [key, entry] of changes.entries) {
      if (entry === undefined) batch.del(ENTRIES + key);
      else batch.put(ENTRIES + key, entryText(entry, expiryOf(entry)));
    }
    for (let revision = this.#summary.compacted + 1; revision <= compacted; revision += 1) {
      batch.del(changeKey(revision));
    }
    batch.put(SUMMARY_KEY, JSON.stringify(next));
    try {
      await batch.write({ sync: true });
    } catch (thrown) {
      this.#isStuck = true;
      throw this.#failureOf(thrown);
    }
    this.#summary = next;
    this.#noteRevision();
  }

  /** See {@link recover}. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  /**
   * Opens the files again after a failed commit, when the disk may have room by now.
   *
   * @returns the revision that is on disk: that of the failed commit when it had got there after all
   * @throws ExecPathError ERR_STORE_FULL, ERR_STORE_FILE when it is still not possible
   */
  async recover(): Promise<number> {
    try {
      await this.#level.close();
      await this.#openLevel();
      // The log's leftover is only written out, and so the disk's room only known, by a write.
      await this.#level.batch([{ type: 'del', key: 'probe' }], { sync: true });
      this.#summary = (await this.#readSummary()) ?? this.#summary;
    } catch (thrown) {
      throw this.#failureOf(thrown);
    }
    this.#isStuck = false;
    this.#noteRevision();
    return this.#summary.revision;
  }

  async close(): Promise<void> {
    await this.#level.close();
    if (this.#revisionFile !== undefined) closeSync(this.#revisionFile);
    this.#revisionFile = undefined;
    openFolders.delete(this.#folder);
  }

  async #openRevisionFile(revision: number): Promise<void> {
    const path = join(this.#folder, REVISION_FILE);
    const noted = Number(await readFile(path, 'utf8').catch(() => '0'));
    if (noted > revision) {
      throw this.#error(
        `are damaged: they end at revision ${revision} and had come to ${noted}; remove ${path} to go on with what is left`,
      );
    }
    this.#revisionFile = openSync(path, noted === 0 ? 'w' : 'r+', 0o600);
    this.#noteRevision();
  }

  /**
   * Only what is synced is noted, so the note is never ahead. It is not synced itself: it survives the process, and
   * after a power failure an older one does no harm.
   */
  #noteRevision(): void {
    if (this.#revisionFile !== undefined) writeSync(this.#revisionFile, digits(this.#summary.revision), 0);
  }

  async #openLevel(): Promise<void> {
    await this.#level.open();
  }

  async #readSummary(): Promise<Summary | undefined> {
    const text = await this.#level.get(SUMMARY_KEY);
    if (text === undefined) return undefined;
    const summary: unknown = JSON.parse(text);
    const format: unknown = typeof summary === 'object' && summary !== null && Reflect.get(summary, 'format');
    if (typeof format !== 'number') throw this.#error('are of another program');
    if (format === FORMAT) return summary as Summary;
    throw this.#error(`have format ${format}, written by a newer podwire: this one knows ${FORMAT}`);
  }

  async #load(): Promise<LoadedStore> {
    const summary = await this.#readSummary();
    if (summary === undefined) {
      for await (const _ of this.#level.keys({ limit: 1 })) throw this.#error('are of another program');
      return { revision: 1, compacted: 1, entries: [], events: [] };
    }
    this.#summary = summary;
    const entries: KeptEntry[] = [];
    for await (const [key, text] of this.#level.iterator(under(ENTRIES))) {
      const kept = readEntry(key.slice(ENTRIES.length), text);
      if (kept === undefined) throw this.#error(`are damaged: ${key} cannot be read`);
      entries.push(kept);
    }
    if (entries.length !== summary.entries) {
      throw this.#error(`are damaged: there are ${entries.length} keys of ${summary.entries}`);
    }
    return { ...summary, entries, events: await this.#loadEvents(entries, summary) };
  }

  /** Backwards from what stands there now. */
  async #loadEvents(entries: readonly KeptEntry[], { revision, compacted }: Summary): Promise<StoreEvent[]> {
    const state = new Map(entries.map(({ entry }) => [entry.key, entry]));
    const events: StoreEvent[] = [];
    const damaged = (at: number): Error => this.#error(`are damaged: the change of revision ${at} is not whole`);
    let at = revision;
    for await (const [key, text] of this.#level.iterator({ ...under(CHANGES), reverse: true })) {
      if (at <= compacted) break;
      const change = key === changeKey(at) ? readChange(text) : undefined;
      if (change === undefined) throw damaged(at);
      const { previous } = change;
      const entry = state.get(change.key);
      if (entry !== undefined && entry.modRevision !== at) throw damaged(at);
      if (entry !== undefined) events.push({ type: 'put', revision: at, entry, ...(previous && { previous }) });
      else if (previous !== undefined) events.push({ type: 'delete', revision: at, previous });
      else throw damaged(at);
      if (previous === undefined) state.delete(change.key);
      else state.set(change.key, previous);
      at -= 1;
    }
    if (at > compacted) throw damaged(at);
    return events.toReversed();
  }

  #countAfter(changes: PendingChanges): number {
    let count = this.#summary.entries;
    for (const event of changes.events) {
      if (event.type === 'delete') count -= 1;
      else if (event.previous === undefined) count += 1;
    }
    return count;
  }

  #failureOf(thrown: unknown): Error {
    if (thrown instanceof ExecPathError) return thrown;
    const error = toError(thrown);
    // What the library says of an open that failed stands in the cause.
    const cause = error.cause === undefined ? error : toError(error.cause);
    const code: unknown = Reflect.get(cause, 'code');
    if (code === 'LEVEL_LOCKED') return inUse(this.#folder, lockHolder(join(this.#folder, 'LOCK')), thrown);
    if (/no space left|disk quota/i.test(cause.message)) {
      const message = `the disk of the data folder ${this.#folder} is full: ${cause.message}`;
      return new ExecPathError('ERR_STORE_FULL', message, { cause: thrown, hop: 'apiserver' });
    }
    const state = code === 'LEVEL_CORRUPTION' ? 'are damaged' : 'cannot be used';
    return this.#error(`${state}: ${cause.message}`, thrown);
  }

  #error(what: string, cause?: unknown): Error {
    return storeFileError(this.#folder, what, cause);
  }
}

function storeFileError(folder: string, what: string, cause?: unknown): Error {
  return new ExecPathError('ERR_STORE_FILE', `the store's files in ${folder} ${what}`, { cause, hop: 'apiserver' });
}

function inUse(folder: string, holder: number | undefined, cause?: unknown): Error {
  const who = holder === undefined ? 'another process' : `process ${holder}`;
  const message = `${who} already runs with the data folder ${folder}; stop it or choose another --data-dir`;
  return new ExecPathError('ERR_STATE_IN_USE', message, { cause, hop: 'apiserver' });
}

/** The library would put its files beside whatever lies there. @throws ExecPathError ERR_STORE_FILE */
async function prepareFolder(folder: string): Promise<void> {
  let names: string[];
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    names = await readdir(folder);
  } catch (cause) {
    throw storeFileError(folder, `cannot be used: ${toError(cause).message}`, cause);
  }
  if (names.includes('CURRENT')) return;
  // Killed while it made its first files, it leaves some of these.
  const strange = names.find((name) => !/^(?:LOCK|REVISION|LOG(?:\.old)?|MANIFEST-\d+|\d+\.(?:log|dbtmp))$/.test(name));
  if (strange !== undefined) throw storeFileError(folder, `have no index, but ${strange} lies there`);
}

function under(prefix: string): { readonly gt: string; readonly lt: string } {
  return { gt: prefix, lt: `${prefix.slice(0, -1)}0` };
}

function changeKey(revision: number): string {
  return CHANGES + digits(revision);
}

function digits(revision: number): string {
  return String(revision).padStart(REVISION_DIGITS, '0');
}

function entryText({ createRevision, modRevision, value }: StoreEntry, expiresAt = 0): string {
  return `${createRevision} ${modRevision} ${expiresAt}\n${value}`;
}

function readEntry(key: string, text: string): KeptEntry | undefined {
  const [head, created, modified, expires] = /^(\d+) (\d+) (\d+)\n/.exec(text) ?? [];
  if (head === undefined) return undefined;
  const entry = {
    key,
    value: text.slice(head.length),
    createRevision: Number(created),
    modRevision: Number(modified),
  };
  return { entry, expiresAt: Number(expires) === 0 ? undefined : Number(expires) };
}

function changeText(event: StoreEvent): string {
  const { previous } = event;
  const key = event.type === 'put' ? event.entry.key : event.previous.key;
  return previous === undefined ? key : `${key}\n${previous.createRevision} ${previous.modRevision}\n${previous.value}`;
}

function readChange(text: string): { readonly key: string; readonly previous: StoreEntry | undefined } | undefined {
  const [head, key, created, modified] = /^([^\n]+)(?:\n(\d+) (\d+)\n|$)/.exec(text) ?? [];
  if (head === undefined || key === undefined) return undefined;
  if (created === undefined) return { key, previous: undefined };
  const value = text.slice(head.length);
  return { key, previous: { key, value, createRevision: Number(created), modRevision: Number(modified) } };
}

/** Where the system tells who holds a lock. */
function lockHolder(path: string): number | undefined {
  try {
    const inode = statSync(path).ino;
    const line = readFileSync('/proc/locks', 'utf8')
      .split('\n')
      .find((text) => text.includes(`:${inode} `));
    const pid = Number(line?.split(/\s+/)[4]);
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

async function loadLibrary(): Promise<{ readonly ClassicLevel: typeof ClassicLevel }> {
  try {
    return await import('classic-level');
  } catch (cause) {
    const message = `the embedded store's library has no binary for ${process.platform} ${process.arch}: ${toError(cause).message}`;
    throw new ExecPathError('ERR_STORE_UNAVAILABLE', message, { cause, hop: 'apiserver' });
  }
}
