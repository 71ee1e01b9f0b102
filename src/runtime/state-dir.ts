import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ExecPathError } from '../common/errors.ts';
import { dismantle } from './isolation/index.ts';
import { killMarked, processStart } from './process/index.ts';

const FILE = 'runtime.json';

interface Claim {
  /** Mark of all processes of runtimes in this directory. */
  readonly marker: string;
  readonly pid: number;
  readonly startTicks: number;
}

/** A runtime's directory while it is its own. */
export interface StateDir {
  readonly marker: string;
  /** For containers. */
  readonly containersDir: string;
  /** For pipes. */
  readonly pipesDir: string;
  release(): void;
}

/**
 * Takes `path` for this process, and ends what an earlier runtime there left running when it was killed.
 *
 * @throws ExecPathError ERR_STATE_IN_USE when another live process has it
 */
export async function claimStateDir(path: string): Promise<StateDir> {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const file = join(path, FILE);
  const before = readClaim(file);
  if (before !== undefined && before.pid !== process.pid && processStart(before.pid) === before.startTicks) {
    throw new ExecPathError('ERR_STATE_IN_USE', `state directory ${path} is in use by process ${before.pid}`, {
      hop: 'runtime',
    });
  }
  const marker = before?.marker ?? `podwire-${randomBytes(6).toString('hex')}`;
  const claim: Claim = { marker, pid: process.pid, startTicks: processStart(process.pid) ?? 0 };
  writeFileSync(`${file}.new`, JSON.stringify(claim), { mode: 0o600 });
  renameSync(`${file}.new`, file);
  if (before !== undefined) await killMarked(marker);
  // Before anything is removed: below a mount may lie what is not ours.
  await dismantle(path);
  const containersDir = join(path, 'containers');
  const pipesDir = join(path, 'pipes');
  for (const directory of [containersDir, pipesDir]) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { mode: directory === containersDir ? 0o711 : 0o700 });
  }
  return {
    marker,
    containersDir,
    pipesDir,
    release: () => {
      rmSync(containersDir, { recursive: true, force: true });
      rmSync(pipesDir, { recursive: true, force: true });
      rmSync(file, { force: true });
    },
  };
}

function readClaim(file: string): Claim | undefined {
  try {
    const value = JSON.parse(readFileSync(file, 'utf8')) as Partial<Claim>;
    const { marker, pid, startTicks } = value;
    if (typeof marker !== 'string' || typeof pid !== 'number' || typeof startTicks !== 'number') return undefined;
    return { marker, pid, startTicks };
  } catch {
    return undefined;
  }
}
