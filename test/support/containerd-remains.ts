import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { mustRun } from './child.ts';
import { processTable, startTime, withDescendants } from './process-table.ts';

/** Prefix of the folders of private containerds in the folder for temporary files. */
export const CONTAINERD_PREFIX = 'podwire-containerd-';

const OWNER_FILE = 'owner';

/** Writes down that this process owns the instance in `directory`. */
export function claim(directory: string): void {
  writeFileSync(join(directory, OWNER_FILE), owner(process.pid));
}

/**
 * Removes instances whose owner was killed before it could: their daemons, shims, containers, mounts and folders.
 *
 * Safe beside other runs: a folder without an owner file is being made, one whose owner lives is left alone, and of
 * several removers one takes an orphan over.
 */
export async function removeOrphans(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(CONTAINERD_PREFIX))) {
    const directory = join(tmpdir(), name);
    if (takeOver(directory)) await removeInstance(directory, 0);
  }
}

/** @returns whether this process owns the instance now, and another one that is gone did before */
function takeOver(directory: string): boolean {
  const path = join(directory, OWNER_FILE);
  const taken = `${path}.${process.pid}`;
  try {
    const claimed = readFileSync(path, 'utf8');
    if (claimed === owner(Number(claimed.split(' ')[0]))) return false;
    renameSync(path, taken);
    claim(directory);
    return true;
  } catch {
    // ENOENT: no owner yet, or another remover was first.
    return false;
  }
}

/**
 * Ends what still runs from `directory`, unmounts what is mounted there, and removes it.
 *
 * @param graceMs how long shims may take to end by themselves, once their pods are gone
 */
export async function removeInstance(directory: string, graceMs: number): Promise<void> {
  const deadline = Date.now() + graceMs;
  while (Date.now() < deadline && pidsOf(directory, 'containerd-shim').length > 0) await delay(20);
  // A shim is the parent of its containers, and the daemon of nothing that outlives it.
  for (const pid of withDescendants(pidsOf(directory, 'containerd'))) kill(pid);
  while (pidsOf(directory, 'containerd').length > 0) await delay(10);
  for (const point of mountPoints(directory)) await mustRun('umount', ['--lazy', point]);
  rmSync(directory, { recursive: true, force: true });
}

/** Daemon and shims name the folder in their arguments. */
function pidsOf(directory: string, program: string): number[] {
  return processTable()
    .filter(({ state, command }) => state !== 'Z' && command.includes(`${directory}/`))
    .filter(({ command }) => (command.split(' ')[0] ?? '').includes(program))
    .map(({ pid }) => pid);
}

/** Mount points below `directory`, deepest first; a mount over a mount is listed twice. */
function mountPoints(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${directory}/`))
    .sort()
    .toReversed();
}

/** A pid alone comes round again; with its start time it does not. */
function owner(pid: number): string {
  return `${pid} ${startTime(pid) ?? 'gone'}`;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ESRCH: it ended with its parent.
  }
}
