import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The controllers that a container is limited or counted by; `freezer` holds its processes still while they are killed. */
export const CONTROLLERS = ['memory', 'cpu', 'cpuacct', 'cpuset', 'pids', 'hugetlb', 'freezer'] as const;
export type Controller = (typeof CONTROLLERS)[number];

/** One mounted tree of cgroups in which we may make our own. A machine has one of version 2, several of version 1, or both. */
export interface Hierarchy {
  readonly version: 1 | 2;
  /** Absolute path of its root. */
  readonly mount: string;
  /** Those of ours that it has. Version 2 kills and counts processes with none at all. */
  readonly controllers: readonly Controller[];
}

/**
 * The hierarchies of this machine in which a cgroup can be made, found by making one.
 *
 * @param mountinfo text as in `/proc/self/mountinfo`
 */
export function writableHierarchies(mountinfo: string): Hierarchy[] {
  const taken = new Set<string>();
  const found: Hierarchy[] = [];
  let canKill = false;
  for (const { mount, type, options } of mountsIn(mountinfo)) {
    const named = type === 'cgroup2' ? wordsOf(join(mount, 'cgroup.controllers')) : options;
    const ours = CONTROLLERS.filter((name) => named.includes(name) && !taken.has(name));
    const isUseful = type === 'cgroup2' ? !taken.has('unified') : ours.length > 0;
    const files = isUseful ? filesOfNew(mount) : undefined;
    if (files === undefined) continue;
    canKill ||= files.includes('cgroup.kill');
    const controllers = type === 'cgroup2' ? ours.filter((name) => delegate(mount, name)) : ours;
    for (const name of type === 'cgroup2' ? [...controllers, 'unified'] : controllers) taken.add(name);
    found.push({ version: type === 'cgroup2' ? 2 : 1, mount, controllers });
  }
  // Each hierarchy costs an exec about a millisecond: one that only holds still is not needed beside one that kills.
  return found.filter(({ controllers }) => !canKill || controllers.join() !== 'freezer');
}

/**
 * Hands a controller of version 2 down to the children of `folder`.
 *
 * @returns false where the kernel refuses it, as for a folder that has processes itself
 */
export function delegate(folder: string, controller: Controller): boolean {
  const file = join(folder, 'cgroup.subtree_control');
  if (wordsOf(file).includes(controller)) return true;
  try {
    writeFileSync(file, `+${controller}`);
    return true;
  } catch {
    return false;
  }
}

/** Fields 5, and after the dash 1 and 3, of each line. */
function mountsIn(mountinfo: string): { mount: string; type: string; options: string[] }[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [type = '', , options = ''] = after.split(' ');
    const mount = before.split(' ')[4] ?? '';
    return type === 'cgroup' || type === 'cgroup2' ? [{ mount, type, options: options.split(',') }] : [];
  });
}

/** What is in a cgroup that was made to see whether it can be; mode bits and mount options do not tell. */
function filesOfNew(mount: string): string[] | undefined {
  const probe = join(mount, `podwire-probe-${process.pid}`);
  try {
    mkdirSync(probe);
    const files = readdirSync(probe);
    rmdirSync(probe);
    return files;
  } catch {
    return undefined;
  }
}

function wordsOf(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'latin1').trim().split(/\s+/) : [];
}
