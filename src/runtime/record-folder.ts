import diagnostics from 'node:diagnostics_channel';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { toError } from '../common/errors.ts';
import { type ContainerRecord, containerRecord, type SandboxRecord, sandboxRecord } from './record.ts';
import { isHalfWritten, writeWhole } from './whole-file.ts';

/** Gets `{ path, what }` for everything that a start found broken or half done, and what it did about it. */
const mended = diagnostics.channel('podwire:runtime:mended');

/** Tells those who listen what a start has mended. */
export function tellMended(path: string, what: string): void {
  mended.publish({ path, what });
}

type Kind = 'sandbox' | 'container';

const formats = { sandbox: sandboxRecord, container: containerRecord } as const;

/**
 * What the runtime knows of its sandboxes and containers, one file each: `sandbox-<id>.json`, `container-<id>.json`. A file
 * is there whole or not at all. No write waits for the disk: it is to survive the runtime's end, and with the machine's
 * the containers end too.
 *
 * Owns: the folder, mode 0700.
 */
export class RecordFolder {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    mkdirSync(path, { recursive: true, mode: 0o700 });
  }

  writeSandbox(record: SandboxRecord): void {
    writeWhole(this.#file('sandbox', record.id), z.encode(formats.sandbox, record), { sync: false });
  }

  writeContainer(record: ContainerRecord): void {
    writeWhole(this.#file('container', record.id), z.encode(formats.container, record), { sync: false });
  }

  /** For what must go on though the disk takes nothing: the record then says what was, and a start finds out what is. */
  attempt(write: () => void): void {
    try {
      write();
    } catch (thrown) {
      tellMended(this.#path, `a record could not be written: ${toError(thrown).message}`);
    }
  }

  remove(kind: Kind, id: string): void {
    rmSync(this.#file(kind, id), { force: true });
  }

  /** All records, oldest first. Files that are none, or were changed by somebody, are set aside. */
  readAll(): { readonly sandboxes: SandboxRecord[]; readonly containers: ContainerRecord[] } {
    const sandboxes: SandboxRecord[] = [];
    const containers: ContainerRecord[] = [];
    for (const name of readdirSync(this.#path)) {
      if (name === ASIDE) continue;
      if (isHalfWritten(name)) {
        rmSync(join(this.#path, name), { force: true });
        continue;
      }
      const [, kind, id] = /^(sandbox|container)-([0-9a-f]{64})\.json$/.exec(name) ?? [];
      try {
        if (id === undefined) throw new Error('it is no record of a sandbox or container');
        if (kind === 'sandbox') sandboxes.push(formats.sandbox.parse(this.#read('sandbox', id)));
        else containers.push(formats.container.parse(this.#read('container', id)));
      } catch (thrown) {
        this.#setAside(name, toError(thrown).message);
      }
    }
    const byAge = (one: { createdAt: bigint }, other: { createdAt: bigint }): number =>
      one.createdAt < other.createdAt ? -1 : 1;
    return { sandboxes: sandboxes.toSorted(byAge), containers: containers.toSorted(byAge) };
  }

  /** Removes the folder. */
  close(): void {
    rmSync(this.#path, { recursive: true, force: true });
  }

  #file(kind: Kind, id: string): string {
    return join(this.#path, `${kind}-${id}.json`);
  }

  #read(kind: Kind, id: string): unknown {
    const record = JSON.parse(readFileSync(this.#file(kind, id), 'utf8')) as { readonly id?: unknown } | null;
    if (record?.id !== id) throw new Error(`it is the record of ${JSON.stringify(record?.id)}`);
    return record;
  }

  #setAside(name: string, why: string): void {
    const [from, folder] = [join(this.#path, name), join(this.#path, ASIDE)];
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    renameSync(from, join(folder, `${name}.${Date.now()}`));
    tellMended(from, `set aside in ${folder}: ${why}`);
  }
}

/** Where files go that are no records. */
const ASIDE = 'set-aside';
