import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { grpcCodes, RuntimeCallError } from '../../cri/index.ts';
import { Cgroup } from './cgroup.ts';
import { type Controller, type Hierarchy, writableHierarchies } from './hierarchy.ts';

/** Every cgroup of this machine that we may make. */
export class CgroupTree {
  readonly hierarchies: readonly Hierarchy[];
  /** Paths that were not there before us and are not a container's: whoever leaves one empty removes it. */
  readonly made = new Set<string>();

  constructor(hierarchies: readonly Hierarchy[]) {
    this.hierarchies = hierarchies;
  }

  /** @returns undefined where no cgroup can be made: containers then have no limits */
  static find(): CgroupTree | undefined {
    const hierarchies = writableHierarchies(readFileSync('/proc/self/mountinfo', 'utf8'));
    return hierarchies.length === 0 ? undefined : new CgroupTree(hierarchies);
  }

  /** Those that limit or count; with their versions, such as `memory: 1`. */
  get controllers(): Partial<Record<Controller, 1 | 2>> {
    return Object.fromEntries(
      this.hierarchies.flatMap(({ controllers, version }) => controllers.map((name) => [name, version])),
    );
  }

  /**
   * The cgroup at a path from the root, which need not be there.
   *
   * @throws RuntimeCallError InvalidArgument for a path that leads out
   */
  at(path: string): Cgroup {
    const plain = posix.normalize(`/${path}`).replace(/(?<=.)\/$/, '');
    if (path.split('/').includes('..') || path.includes('\0') || plain === '/') {
      throw new RuntimeCallError(grpcCodes.InvalidArgument, `${JSON.stringify(path)} is no path of a cgroup`);
    }
    return new Cgroup(plain, this.hierarchies);
  }
}
