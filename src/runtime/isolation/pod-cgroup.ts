import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import type { Cgroup, CgroupTree } from '../cgroup/index.ts';

/** What was made, kept so that another process of ours can take it down. */
const madeRecord = z.object({ path: z.string(), above: z.array(z.string()), containers: z.array(z.string()) });

/** Above the pods that name no cgroup. */
const OWN = '/podwire';

/**
 * Where the containers of one pod have their cgroups: each its own below the pod's, as the kubelet and its metrics expect
 * them.
 *
 * Owns: the containers' folders, and those above them that were not there before.
 */
export class PodCgroup {
  readonly #tree: CgroupTree;
  readonly #group: Cgroup;
  readonly #record: string;
  readonly #containers = new Set<string>();

  /**
   * @param parent `cgroup_parent` of the pod; empty for one of our own
   * @param record a file to keep; what an earlier process kept there is taken over
   * @throws RuntimeCallError InvalidArgument for a path that leads out
   */
  constructor(
    tree: CgroupTree,
    { id, parent, record }: { readonly id: string; readonly parent: string; readonly record: string },
  ) {
    this.#tree = tree;
    this.#group = tree.at(parent === '' ? `${OWN}/${id}` : parent);
    this.#record = record;
    const kept = readRecord(record);
    for (const path of kept?.above ?? []) tree.made.add(path);
    for (const container of kept?.containers ?? []) this.#containers.add(container);
  }

  /** The pod's own, with all its containers; it need not be there. */
  get whole(): Cgroup {
    return this.#group;
  }

  /** The cgroup of a container, which need not be there. */
  of(containerId: string): Cgroup {
    return this.#group.child(containerId);
  }

  /** Makes the cgroup of a container. @throws Error of the system */
  make(containerId: string): Cgroup {
    for (const { path, exists } of upwards(this.#group)) if (!exists) this.#tree.made.add(path);
    this.#containers.add(containerId);
    // Before it is made, or a runtime that is killed now would leave it behind.
    this.#keep();
    const group = this.of(containerId);
    group.make();
    return group;
  }

  /** Ends what is in a container's cgroup and removes it. Twice is once. */
  async remove(containerId: string): Promise<void> {
    if (!this.#containers.has(containerId)) return;
    const group = this.of(containerId);
    await group.kill();
    await group.remove();
    // It may stay in the record: what is not there any more is quickly removed.
    this.#containers.delete(containerId);
  }

  /** Removes what is left of it. Twice is once. */
  async close(): Promise<void> {
    for (const id of this.#containers) await this.remove(id);
    for (const group of upwards(this.#group)) {
      // Several runtimes share OWN: whoever is the last removes it.
      const isOurs = group.path === OWN || this.#tree.made.has(group.path);
      if (isOurs && group.removeEmpty()) this.#tree.made.delete(group.path);
    }
  }

  #keep(): void {
    const above = upwards(this.#group).map(({ path }) => path);
    const made = above.filter((path) => this.#tree.made.has(path));
    const kept: z.infer<typeof madeRecord> = { path: this.#group.path, above: made, containers: [...this.#containers] };
    // Whole when we are killed, which is enough: cgroups do not outlast the machine's run, so no disk is waited for.
    writeFileSync(`${this.#record}.new`, JSON.stringify(kept), { mode: 0o600 });
    renameSync(`${this.#record}.new`, this.#record);
  }
}

/** Takes down what the record of a pod says that was made, whoever wrote it. */
export async function dismantleCgroup(tree: CgroupTree, record: string): Promise<void> {
  const kept = readRecord(record);
  if (kept !== undefined) await new PodCgroup(tree, { id: '', parent: kept.path, record }).close();
}

/** A cgroup and those above it, without the root. */
function upwards(group: Cgroup): Cgroup[] {
  return group.path === '/' ? [] : [group, ...upwards(group.parent)];
}

function readRecord(file: string): z.infer<typeof madeRecord> | undefined {
  try {
    return madeRecord.safeParse(JSON.parse(readFileSync(file, 'utf8'))).data;
  } catch {
    return undefined;
  }
}
