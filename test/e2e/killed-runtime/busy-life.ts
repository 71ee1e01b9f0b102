import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { toError } from '../../../src/common/errors.ts';
import { ImageStore } from '../../../src/runtime/index.ts';
import type { SeededRandom } from '../../support/seed.ts';
import { ask, openSession } from './attach-session.ts';
import type { RuntimeProcess } from './runtime-process.ts';
import { type ContainerSeen, containerConfig, type PodSeen } from './world.ts';

/** So many are at work at once. */
const WORKERS = 5;
const MAX_PODS = 4;
const MAX_CONTAINERS = 10;
/** In the command line of what is started beside a container. */
export const BESIDE = 'podwire-beside';

/** All that we know of what a runtime was asked to do, and the work of making it busy. */
export class BusyLife {
  readonly pods = new Set<PodSeen>();
  readonly containers = new Set<ContainerSeen>();
  readonly #runtime: RuntimeProcess;
  #names = 0;

  constructor(runtime: RuntimeProcess) {
    this.#runtime = runtime;
  }

  /** Works until the runtime is killed after `afterMs`. @returns what was refused before that */
  async until(afterMs: number, random: SeededRandom): Promise<string[]> {
    const wrong: string[] = [];
    const killed = new AbortController();
    const work = async (): Promise<void> => {
      while (!killed.signal.aborted) {
        const step = this.#step(random);
        try {
          await step();
        } catch (thrown) {
          if (!killed.signal.aborted) wrong.push(`before the kill: ${toError(thrown).message}`);
        }
      }
    };
    const workers = Array.from({ length: WORKERS }, work);
    await delay(afterMs);
    killed.abort();
    await this.#runtime.kill();
    await Promise.all(workers);
    for (const container of this.containers) container.isBusy = false;
    return wrong;
  }

  #step(random: SeededRandom): () => Promise<void> {
    const free = [...this.containers].filter(({ isBusy, pod, end }) => !isBusy && !pod.isEnding && end !== 'remove');
    const running = free.filter(({ start, end, life }) => start === 'yes' && end === 'no' && life !== 'ends');
    const steps: (() => Promise<void>)[] = [];
    const ready = [...this.pods].filter(({ isEnding }) => !isEnding);
    if (ready.length < MAX_PODS) steps.push(() => this.#addPod());
    if (ready.length > 0 && this.containers.size < MAX_CONTAINERS) {
      const add = this.#addContainer(random.pick(ready), random);
      steps.push(add, add, add);
    }
    if (running.length > 0) {
      const container = random.pick(running);
      const how = random.pick(['execSync', 'exec', 'attach', 'stop'] as const);
      const step = (): Promise<void> => this.#with(container, how);
      steps.push(step, step, step, step);
    }
    if (free.length > MAX_CONTAINERS / 2) steps.push(() => this.#with(random.pick(free), 'remove'));
    if (ready.length === MAX_PODS && random.between(0, 3) === 0) steps.push(() => this.#endPod(random.pick(ready)));
    if (this.#runtime.hasWalls && random.between(0, 9) === 0) steps.push(() => this.#import());
    return steps.length > 0 ? random.pick(steps) : () => delay(5);
  }

  async #addPod(): Promise<void> {
    this.#names += 1;
    const metadata = { name: `pod${this.#names}`, namespace: 'n', uid: `u${this.#names}`, attempt: 0 };
    const { directory, cgroupParent, mapsPorts } = this.#runtime;
    // A port of the host is rules in its firewall; nobody else uses that address.
    const port = { containerPort: 80, hostPort: this.#names, hostIp: '127.77.0.1' };
    const config = {
      metadata,
      logDirectory: join(directory, 'logs'),
      linux: { cgroupParent: `${cgroupParent}/${metadata.name}` },
      portMappings: mapsPorts ? [port] : [],
    };
    const { podSandboxId } = await this.#runtime.client.runtime.runPodSandbox({ config });
    this.pods.add({ id: podSandboxId, isEnding: false });
  }

  #addContainer(pod: PodSeen, random: SeededRandom): () => Promise<void> {
    this.#names += 1;
    const name = `c${this.#names}`;
    const { hasWalls, directory } = this.#runtime;
    const { config, ...rest } = containerConfig(name, { random, hasWalls });
    return async () => {
      const { runtime } = this.#runtime.client;
      const begun = runtime.createContainer({ podSandboxId: pod.id, config });
      let id: string;
      try {
        ({ containerId: id } = await begun);
      } catch (thrown) {
        if (pod.isEnding) return;
        throw thrown;
      }
      const logPath = join(directory, 'logs', `${name}.log`);
      const state = { start: 'no', end: 'no', isBusy: true, lost: 0, read: 0 } as const;
      const container: ContainerSeen = { id, pod, logPath, ...rest, ...state };
      this.containers.add(container);
      container.start = 'asked';
      try {
        await runtime.startContainer({ containerId: id });
        container.start = 'yes';
      } catch (thrown) {
        if (!pod.isEnding) throw thrown;
      }
      container.isBusy = false;
    };
  }

  async #with(container: ContainerSeen, how: 'execSync' | 'exec' | 'attach' | 'stop' | 'remove'): Promise<void> {
    const { id, pod, life, tty } = container;
    const { runtime } = this.#runtime.client;
    container.isBusy = true;
    try {
      switch (how) {
        case 'execSync':
          await runtime.execSync({ containerId: id, cmd: ['sh', '-c', 'echo beside'], timeout: 30n });
          break;
        case 'exec': {
          const cmd = ['sh', '-c', `sleep 4321; : ${BESIDE}`];
          const { url } = await runtime.exec({ containerId: id, cmd, stdin: true, stdout: true, stderr: true });
          const session = await openSession(url, false);
          await delay(50);
          session.abort();
          break;
        }
        case 'attach': {
          if (life !== 'answers') break;
          const { url } = await runtime.attach({ containerId: id, stdin: true, stdout: true, stderr: !tty, tty });
          const session = await openSession(url, tty);
          await ask(session, 'busy');
          session.abort();
          break;
        }
        case 'stop':
          container.end = 'stop';
          await runtime.stopContainer({ containerId: id, timeout: 0n });
          break;
        case 'remove':
          container.end = 'remove';
          await runtime.removeContainer({ containerId: id });
          this.containers.delete(container);
      }
    } catch (thrown) {
      if (!pod.isEnding) throw thrown;
    } finally {
      container.isBusy = false;
    }
  }

  async #endPod(pod: PodSeen): Promise<void> {
    pod.isEnding = true;
    const { runtime } = this.#runtime.client;
    const mine = [...this.containers].filter((container) => container.pod === pod);
    for (const container of mine) container.end = 'remove';
    await runtime.stopPodSandbox({ podSandboxId: pod.id });
    await runtime.removePodSandbox({ podSandboxId: pod.id });
    this.pods.delete(pod);
    for (const container of mine) this.containers.delete(container);
  }

  async #import(): Promise<void> {
    await new ImageStore(this.#runtime.stateDir).import(this.#runtime.archive);
  }
}
