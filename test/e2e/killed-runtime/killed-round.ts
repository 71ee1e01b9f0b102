import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ContainerState, PodSandboxState } from '../../../src/cri/index.ts';
import { subnetOf } from '../../../src/runtime/isolation/network.ts';
import { cgroupsBelow, networkParts } from '../../support/kernel-remains.ts';
import { processesWith } from '../../support/process-table.ts';
import { seededRandom } from '../../support/seed.ts';
import { ask, openSession } from './attach-session.ts';
import { BESIDE, BusyLife } from './busy-life.ts';
import type { RuntimeProcess } from './runtime-process.ts';
import { type ContainerSeen, readCounts, wrongState } from './world.ts';

/** The kill comes within so many ms of a busy life. */
const KILL_WITHIN_MS = 2_000;
/** What ends by itself ends within this, in ms, on a machine that is busy. */
const SETTLE_MS = 30_000;

/** What the rounds of one {@link KilledRuntime} have seen after its restarts. */
export interface Figures {
  /** Containers that ran, and were used. */
  running: number;
  /** Those that had ended, with a code that they may have. */
  exited: number;
  /** Those that had not been started. */
  created: number;
  /** Lines that are missing in the logs of those that count, which is one kill's loss between reading and writing. */
  linesLost: number;
  /** Lines that are there. */
  linesRead: number;
}

const stateNames = {
  [ContainerState.CONTAINER_RUNNING]: 'running',
  [ContainerState.CONTAINER_EXITED]: 'exited',
  [ContainerState.CONTAINER_CREATED]: 'created',
} as const;

/** One runtime that is killed again and again. Owns: nothing. */
export class KilledRuntime {
  readonly figures: Figures = { running: 0, exited: 0, created: 0, linesLost: 0, linesRead: 0 };
  readonly #runtime: RuntimeProcess;
  readonly #life: BusyLife;

  constructor(runtime: RuntimeProcess) {
    this.#runtime = runtime;
    this.#life = new BusyLife(runtime);
  }

  /**
   * A busy life, a kill, a restart; then everything is looked at.
   *
   * @returns what was wrong, empty when all is well
   */
  async playRound(seed: number): Promise<string[]> {
    const random = seededRandom(seed);
    const afterMs = random.between(0, KILL_WITHIN_MS);
    const wrong = await this.#life.until(afterMs, random);
    // Now and then somebody ends while no runtime is there.
    if (random.between(0, 2) === 0) await delay(random.between(0, 400));
    await this.#runtime.restart();
    wrong.push(...(await this.#look()), ...(await this.#settled(() => this.#leaks())), ...this.#readLogs());
    return wrong.map((text) => `SEED=${seed}, killed after ${afterMs} ms: ${text}\n${this.#runtime.log.slice(-2000)}`);
  }

  /** Stops the runtime as `podwire up` does. @returns what is left */
  async finish(): Promise<string[]> {
    const { marker } = this.#runtime;
    await this.#runtime.stop();
    const left = async (): Promise<string[]> => [
      ...processesWith(marker).map(({ pid, command }) => `process ${pid} ${command}`),
      ...mountsBelow(this.#runtime.stateDir).map((point) => `mount ${point}`),
      ...filesIn(join(this.#runtime.stateDir, 'containers')),
      ...filesIn(join(this.#runtime.stateDir, 'kept')),
      ...filesIn(join(this.#runtime.stateDir, 'records')),
      ...filesIn(join(this.#runtime.stateDir, 'pods')),
      ...this.#addresses().map(({ id }) => `address of ${id}`),
      ...cgroupsBelow(this.#runtime.cgroupParent).map((name) => `cgroup ${name}`),
      ...(await networkParts(subnetOf(this.#runtime.stateDir))).map(({ what }) => what),
    ];
    return this.#settled(left);
  }

  /** What the runtime says, against what we asked of it; then everything is used. */
  async #look(): Promise<string[]> {
    const { runtime } = this.#runtime.client;
    const wrong: string[] = [];
    const { items } = await runtime.listPodSandbox({});
    const pods = new Map(items.map(({ id, state }) => [id, state]));
    for (const pod of this.#life.pods) {
      const state = pods.get(pod.id);
      if (state === undefined && !pod.isEnding) wrong.push(`pod ${pod.id} is gone`);
      if (state === PodSandboxState.SANDBOX_NOTREADY && !pod.isEnding) wrong.push(`pod ${pod.id} is not ready`);
      if (pod.isEnding) this.#life.pods.delete(pod);
    }
    const known = new Set([...this.#life.pods].map(({ id }) => id));
    // Those whose answer was lost, and those that were being ended: asked again, they go.
    for (const id of pods.keys()) {
      if (known.has(id)) continue;
      await runtime.stopPodSandbox({ podSandboxId: id });
      await runtime.removePodSandbox({ podSandboxId: id });
    }
    for (const container of this.#life.containers) wrong.push(...(await this.#lookAt(container)));
    const ours = new Set([...this.#life.containers].map(({ id }) => id));
    for (const { id } of (await runtime.listContainers({})).containers) {
      if (!ours.has(id)) await runtime.removeContainer({ containerId: id });
    }
    return wrong;
  }

  async #lookAt(container: ContainerSeen): Promise<string[]> {
    const { id, life, tty, pod } = container;
    const { runtime } = this.#runtime.client;
    if (pod.isEnding) {
      this.#life.containers.delete(container);
      return [];
    }
    const seen = await runtime.containerStatus({ containerId: id }).then(
      ({ status }) => status,
      () => undefined,
    );
    const wrong = wrongState(container, seen);
    if (wrong.length > 0 || seen === undefined) {
      this.#life.containers.delete(container);
      return wrong;
    }
    this.figures[stateNames[seen.state as keyof typeof stateNames]] += 1;
    try {
      if (seen.state === ContainerState.CONTAINER_CREATED) await runtime.startContainer({ containerId: id });
      if (seen.state !== ContainerState.CONTAINER_EXITED) container.start = 'yes';
      if (seen.state === ContainerState.CONTAINER_RUNNING && life !== 'ends') {
        const { stdout } = await runtime.execSync({ containerId: id, cmd: ['echo', 'usable'], timeout: 30n });
        if (Buffer.from(stdout).toString() !== 'usable\n') wrong.push(`container ${id} answers ${String(stdout)}`);
        if (life === 'answers') {
          const { url } = await runtime.attach({ containerId: id, stdin: true, stdout: true, stderr: !tty, tty });
          const session = await openSession(url, tty);
          await ask(session, 'after');
          session.abort();
        }
      }
    } catch (thrown) {
      // What was told to end may do so while it is looked at.
      const isEnding = container.end !== 'no' && (await this.#hasEnded(id));
      if (!isEnding)
        wrong.push(`container ${id} that ${life} (end ${container.end}) cannot be used: ${String(thrown)}`);
    }
    // What was asked for and not heard is asked for again.
    if (container.end === 'stop') await runtime.stopContainer({ containerId: id, timeout: 0n });
    if (container.end === 'remove' || seen.state === ContainerState.CONTAINER_EXITED) {
      await runtime.removeContainer({ containerId: id });
      this.#life.containers.delete(container);
    }
    return wrong;
  }

  async #hasEnded(containerId: string): Promise<boolean> {
    const look = async (): Promise<string[]> => {
      const { status } = await this.#runtime.client.runtime.containerStatus({ containerId });
      return status?.state === ContainerState.CONTAINER_EXITED ? [] : ['running'];
    };
    return (await this.#settled(look)).length === 0;
  }

  /** Whatever is there and belongs to nobody whom the runtime knows. */
  async #leaks(): Promise<string[]> {
    const { runtime } = this.#runtime.client;
    const { stateDir, marker, pid } = this.#runtime;
    const { items } = await runtime.listPodSandbox({});
    const pods = new Set(items.map(({ id }) => id));
    const names = new Set(items.map(({ metadata }) => metadata?.name ?? ''));
    const all = (await runtime.listContainers({})).containers;
    const containers = new Set(all.map(({ id }) => id));
    const running = new Set(all.filter(({ state }) => state === ContainerState.CONTAINER_RUNNING).map(({ id }) => id));
    const stranger = (kind: string, ids: readonly string[], known: ReadonlySet<string>): string[] =>
      ids.filter((id) => !known.has(id)).map((id) => `${kind} ${id} belongs to nobody`);
    const addresses = this.#addresses();
    const marked = processesWith(marker).map((row) => ({ ...row, id: ownerOf(row.pid, marker) }));
    const owners = new Set([...pods, ...running]);
    return [
      ...marked
        .filter(({ id, command }) => (id !== undefined && !owners.has(id)) || command.includes(BESIDE))
        .map(({ pid: left, command }) => `process ${left} ${command.slice(0, 200)} belongs to nobody`),
      ...processesWith('podwire-tool-')
        .filter(({ command, parent }) => parent === 1 && command.includes(stateDir) && pid !== parent)
        .map(({ command }) => `tool ${command} was left`),
      ...stranger('containers', filesIn(join(stateDir, 'containers')), containers),
      ...stranger('kept', filesIn(join(stateDir, 'kept')), running),
      ...stranger('pods', filesIn(join(stateDir, 'pods')), pods),
      ...stranger(
        'records',
        filesIn(join(stateDir, 'records')).map((name) => /^\w+-(\w+)\.json$/.exec(name)?.[1] ?? name),
        new Set([...pods, ...containers]),
      ),
      ...stranger(
        'mount',
        mountsBelow(stateDir).map((point) => point.slice(stateDir.length + 1)),
        new Set(
          mountsBelow(stateDir)
            .map((point) => point.slice(stateDir.length + 1))
            .filter((point) => isOwned(point, pods, containers)),
        ),
      ),
      ...stranger(
        'address',
        addresses.map(({ id }) => id),
        pods,
      ),
      ...cgroupsBelow(this.#runtime.cgroupParent)
        .map((path) => path.split('/'))
        .filter(([pod = '', container]) => !names.has(pod) || (container !== undefined && !running.has(container)))
        .map((path) => `cgroup ${path.join('/')} belongs to nobody`),
      ...(await networkParts(subnetOf(stateDir)))
        .filter((part) => !addresses.some(({ address, id }) => address === part.address && pods.has(id)))
        .map(({ what }) => `${what} belongs to nobody`),
    ];
  }

  /** The pods that have an address. */
  #addresses(): { readonly address: string; readonly id: string }[] {
    const folder = join(this.#runtime.stateDir, 'cni/podwire');
    return filesIn(folder)
      .filter((name) => name.startsWith('10.'))
      .map((address) => ({ address, id: readFileSync(join(folder, address), 'utf8').split(/\s/)[0] ?? '' }));
  }

  #readLogs(): string[] {
    const counting = [...this.#life.containers].filter(({ life, logPath }) => life === 'counts' && existsSync(logPath));
    return counting.flatMap((container) => {
      const { wrong, missing, lines } = readCounts(container.logPath);
      this.figures.linesLost += missing - container.lost;
      this.figures.linesRead += lines - container.read;
      container.lost = missing;
      container.read = lines;
      return wrong;
    });
  }

  async #settled(look: () => string[] | Promise<string[]>): Promise<string[]> {
    const deadline = Date.now() + SETTLE_MS;
    for (;;) {
      const left = await look();
      if (left.length === 0 || Date.now() > deadline) return left;
      await delay(50);
    }
  }
}

/** The pod or container whose mark a process has. */
function ownerOf(pid: number, marker: string): string | undefined {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
    const at = environment.indexOf(`PODWIRE_SESSION=${marker}`);
    return /^[^/\0]*\/([0-9a-f]{64})/.exec(environment.slice(at))?.[1];
  } catch {
    return undefined;
  }
}

function isOwned(point: string, pods: ReadonlySet<string>, containers: ReadonlySet<string>): boolean {
  const [kind, id = ''] = point.split('/');
  if (kind === 'tools') return true;
  return kind === 'pods' ? pods.has(id) : kind === 'containers' && containers.has(id);
}

function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${folder}/`));
}

function filesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
