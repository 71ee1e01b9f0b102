import { readdirSync, readFileSync } from 'node:fs';
import { kill, pid as ownPid } from 'node:process';

/** Parent of each process that /proc shows; empty where there is no /proc. */
function parents(): Map<number, number> {
  const found = new Map<number, number>();
  let names: string[] = [];
  try {
    names = readdirSync('/proc');
  } catch {
    return found;
  }
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // The name of the program, in parentheses, may hold anything; behind the last one stand state and parent.
      const [, , parent] = readFileSync(`/proc/${name}/stat`, 'utf8').replace(/^.*\)/s, ')').split(' ');
      found.set(Number(name), Number(parent));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

/**
 * Kills every process that this one has started, and theirs. For an end without patience, when nobody waits for a
 * clean one any longer: containers of our own runtime are our descendants.
 */
export function endDescendants(): void {
  const all = parents();
  const doomed = new Set([ownPid]);
  for (let before = 0; before < doomed.size; ) {
    before = doomed.size;
    for (const [pid, parent] of all) if (doomed.has(parent)) doomed.add(pid);
  }
  doomed.delete(ownPid);
  for (const pid of doomed) {
    try {
      kill(pid, 'SIGKILL');
    } catch {
      // Gone, or somebody else's now.
    }
  }
}
