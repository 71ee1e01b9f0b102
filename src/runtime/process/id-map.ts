import { readFileSync } from 'node:fs';

interface Range {
  readonly first: number;
  readonly count: number;
}

/** All ids that there are: what the namespace of a machine's own root has. */
const ALL = 2 ** 32 - 1;

/**
 * The users and groups that exist in this process's user namespace. As the machine's root that is all of them; root of a
 * namespace that a user made is that user, and has no others but those that /etc/subuid gives it.
 *
 * @see user_namespaces(7)
 */
export class IdMap {
  static #own: IdMap | undefined;
  /** Whether a process may have supplementary groups of its choice. */
  readonly canSetGroups: boolean;
  readonly #users: readonly Range[];
  readonly #groups: readonly Range[];

  /** @param setgroups `allow` or `deny` */
  constructor(uidMap: string, gidMap: string, setgroups: string) {
    this.#users = rangesIn(uidMap);
    this.#groups = rangesIn(gidMap);
    this.canSetGroups = setgroups.trim() !== 'deny';
  }

  /** Of this process, which has the same as long as it lives. */
  static own(): IdMap {
    IdMap.#own ??= new IdMap(read('uid_map'), read('gid_map'), read('setgroups'));
    return IdMap.#own;
  }

  /** Whether this is the namespace of the machine's own root, who may make devices, networks and cgroups. */
  get isWhole(): boolean {
    return this.#users.some(({ first, count }) => first === 0 && count === ALL);
  }

  hasUser(uid: number): boolean {
    return isIn(this.#users, uid);
  }

  hasGroup(gid: number): boolean {
    return isIn(this.#groups, gid);
  }
}

function isIn(ranges: readonly Range[], id: number): boolean {
  return ranges.some(({ first, count }) => id >= first && id < first + count);
}

/** Lines of the first id inside, the one outside that it is, and how many follow. */
function rangesIn(text: string): Range[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([first, , count]) => (first === undefined || count === undefined ? [] : [{ first, count }]));
}

/** Where there is no /proc, as on other systems than Linux, there are no user namespaces either. */
function read(name: string): string {
  try {
    return readFileSync(`/proc/self/${name}`, 'latin1');
  } catch {
    return name === 'setgroups' ? 'allow' : `0 0 ${ALL}`;
  }
}
