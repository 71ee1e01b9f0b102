import { randomBytes } from 'node:crypto';
import { accessSync, constants, mkdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ExecPathError, toError } from '../common/errors.ts';
import { bootId, killMarked, processStart, toolMarker } from './process/index.ts';
import { RecordFolder, tellMended } from './record-folder.ts';
import { writeWhole } from './whole-file.ts';

const FILE = 'runtime.json';
const MARKER = 'marker.json';

const claimFormat = z.object({
  /** Mark of all processes of runtimes in this directory. */
  marker: z.string().regex(/^[\w-]+$/),
  pid: z.number(),
  startTicks: z.number(),
  /** Of the machine's run in which it was written. */
  boot: z.string().default(''),
});

/** A runtime's directory while it is its own. */
export interface StateDir {
  /** Absolute and without links: as the kernel names what is mounted in it. */
  readonly path: string;
  readonly marker: string;
  /** Names this run of the runtime among all in the directory. */
  readonly run: string;
  /** Whether the machine has run on since the last runtime here, as far as is known. */
  readonly isSameBoot: boolean;
  /** For containers. */
  readonly containersDir: string;
  /** For the streams and exit codes of what outlives us. */
  readonly keptDir: string;
  /** For pipes. */
  readonly pipesDir: string;
  readonly records: RecordFolder;
  /** @param options.keep leaves what there is to the next runtime */
  release(options?: { readonly keep?: boolean }): void;
}

/**
 * Takes `folder` for this process. What an earlier runtime there left is still there, but for the tools that it had running.
 *
 * @throws ExecPathError ERR_STATE_IN_USE when another live process has it; ERR_STATE_FOLDER
 */
export async function claimStateDir(folder: string): Promise<StateDir> {
  makeWritable(folder);
  const path = realpathSync(folder);
  const file = join(path, FILE);
  const before = readClaim(file);
  if (before !== undefined && before.pid !== process.pid && processStart(before.pid) === before.startTicks) {
    throw new ExecPathError('ERR_STATE_IN_USE', `state directory ${path} is in use by process ${before.pid}`, {
      hop: 'runtime',
    });
  }
  const marker = before?.marker ?? markerOf(path);
  const boot = bootId();
  writeWhole(file, { marker, pid: process.pid, startTicks: processStart(process.pid) ?? 0, boot });
  if (before !== undefined && before.pid !== process.pid) await killMarked(toolMarker(before.pid, before.startTicks));
  const [containersDir, keptDir, pipesDir] = ['containers', 'kept', 'pipes'].map((name) => join(path, name)) as [
    string,
    string,
    string,
  ];
  rmSync(pipesDir, { recursive: true, force: true });
  mkdirSync(containersDir, { recursive: true, mode: 0o711 });
  for (const directory of [keptDir, pipesDir]) mkdirSync(directory, { recursive: true, mode: 0o700 });
  const records = new RecordFolder(join(path, 'records'));
  return {
    path,
    marker,
    run: randomBytes(4).toString('hex'),
    isSameBoot: before === undefined || before.boot === boot,
    containersDir,
    keptDir,
    pipesDir,
    records,
    release: ({ keep = false } = {}) => {
      rmSync(pipesDir, { recursive: true, force: true });
      if (keep) return;
      for (const directory of [containersDir, keptDir]) rmSync(directory, { recursive: true, force: true });
      records.close();
      for (const name of [FILE, MARKER]) rmSync(join(path, name), { force: true });
    },
  };
}

function makeWritable(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    accessSync(path, constants.W_OK);
  } catch (thrown) {
    const cause = toError(thrown);
    const message = `the state folder ${JSON.stringify(path)} cannot be used: ${cause.message}`;
    throw new ExecPathError('ERR_STATE_FOLDER', message, { hop: 'runtime', cause });
  }
}

/** The mark as it was first written: a claim that somebody broke does not make strangers of our processes. */
function markerOf(path: string): string {
  const file = join(path, MARKER);
  try {
    const marker = claimFormat.shape.marker.parse(JSON.parse(readFileSync(file, 'utf8')));
    tellMended(join(path, FILE), 'could not be read and is written anew');
    return marker;
  } catch {
    const marker = `podwire-${randomBytes(6).toString('hex')}`;
    writeWhole(file, marker);
    return marker;
  }
}

/** @returns undefined when there is none, or what is there is no claim: that is written anew */
function readClaim(file: string): z.infer<typeof claimFormat> | undefined {
  try {
    return claimFormat.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
}
