import { rm } from 'node:fs/promises';
import { toError } from '../common/errors.ts';
import { ContainerState, type ContainerStatus as CriContainerStatus, type CriServices } from '../cri/index.ts';
import type { Container, Pod } from '../kubeapi/index.ts';
import { ContainerStarter, type PodStep, type WaitingReason } from './container-starter.ts';
import { dueContainers, isInit, isOver, restarts, restartsInit } from './due-containers.ts';
import { initContainersOf } from './init-containers.ts';
import { ephemeralContainersOf } from './pod-containers.ts';
import type { DnsSettings } from './pod-dns.ts';
import type { EventPod, Happening } from './pod-events.ts';
import { type PodFolders, podLogFolder, podsWithFolders, removeLogsOf } from './pod-folders.ts';
import { graceOf } from './pod-grace.ts';
import { hasExited, type ObservedPod } from './pod-observer.ts';
import { PodReferences } from './pod-references.ts';
import { removeSuperseded } from './pod-remains.ts';
import { PodSandboxes } from './pod-sandboxes.ts';
import { RestartBackoff, type RestartWait } from './restart-backoff.ts';
import { StartBackoff } from './start-backoff.ts';
import { terminationFile } from './termination-message.ts';
import { PodVolumes, type PodVolumesOptions } from './volumes/pod-volumes.ts';

export interface SyncResult {
  /** Why containers are not running, by name. */
  readonly waiting: Map<string, WaitingReason>;
  /** Something was started or stopped: the runtime shows another picture now. */
  readonly acted: boolean;
}

export interface PodWorkerOptions {
  /** The node's address, for containers that ask. */
  readonly hostIP?: string;
  readonly dns?: DnsSettings;
  /** What pods refer to; default: a kubelet without an apiserver. */
  readonly references?: PodReferences;
  readonly volumes?: PodVolumesOptions;
  /** Told what is done with a pod, and what fails. */
  readonly onEvent?: (pod: EventPod, happening: Happening) => void;
}

export interface RemoveOptions {
  /** The kubelet stops: a later one goes on. */
  readonly signal?: AbortSignal;
  /** Of the pod, when it is known. */
  readonly spec?: Pod['spec'];
}

/**
 * Brings pods into the runtime and out of it, one step at a time: each `sync` does what the last look asks for.
 *
 * Failures do not throw: they are the waiting reason of the container that they concern, and a later sync tries again.
 */
export class PodWorker {
  readonly #cri: CriServices;
  readonly #folders: PodFolders;
  readonly #references: PodReferences;
  readonly #volumes: PodVolumes;
  readonly #onEvent: (pod: EventPod, happening: Happening) => void;
  readonly #restarts = new RestartBackoff();
  readonly #starts = new StartBackoff<WaitingReason>();
  readonly #sandboxes: PodSandboxes;
  readonly #starter: ContainerStarter;

  constructor(cri: CriServices, folders: PodFolders, options: PodWorkerOptions = {}) {
    const { hostIP = '', dns = {}, volumes, onEvent = () => {} } = options;
    const { references = new PodReferences(undefined) } = options;
    this.#cri = cri;
    this.#folders = folders;
    this.#onEvent = onEvent;
    this.#references = references;
    this.#volumes = new PodVolumes(folders, references, volumes);
    const shared = { cri, folders, hostIP, onEvent };
    this.#sandboxes = new PodSandboxes({ ...shared, dns });
    const [sandboxes, starts, { clusterDomain }] = [this.#sandboxes, this.#starts, dns];
    this.#starter = new ContainerStarter({ ...shared, clusterDomain, references, sandboxes, starts });
  }

  /** @param signal the pod is to go or the kubelet stops: no more is started, and what it waits for is given up */
  async sync(pod: Pod, observed: ObservedPod | undefined, signal?: AbortSignal): Promise<SyncResult> {
    const waiting = new Map<string, WaitingReason>();
    if (isOver(pod, observed)) return { waiting, acted: await this.#endOthers(pod, observed) };
    const key = `${pod.metadata.uid}/`;
    let failing = { reason: 'FailedCreatePodSandBox', event: 'FailedCreatePodSandBox' };
    try {
      if (observed?.ready === false) {
        if (await this.#sandboxes.end(pod, observed)) return { waiting, acted: true };
        // What ran once in a pod that never restarts does not run again in another sandbox.
        if (pod.spec.restartPolicy === 'Never' && observed.statuses.size > 0) return { waiting, acted: false };
      }
      const late = this.#starts.waiting(key, Date.now());
      if (late !== undefined) return { waiting: forAll(pod, late), acted: false };
      const attempt = observed === undefined ? 0 : (observed.sandbox.metadata?.attempt ?? 0) + (observed.ready ? 0 : 1);
      failing = { reason: 'ContainerCreating', event: 'FailedMount' };
      if (observed?.ready !== true) await this.#volumes.prepare(pod, signal);
      if (signal?.aborted === true) return { waiting, acted: false };
      failing = { reason: 'FailedCreatePodSandBox', event: 'FailedCreatePodSandBox' };
      const place =
        observed?.ready === true
          ? { podSandboxId: observed.sandbox.id, podIPs: observed.ips }
          : await this.#sandboxes.run(pod, attempt);
      this.#starts.succeeded(key);
      if (observed?.ready === true) this.#refreshVolumes(pod);
      return await this.#syncContainers({ pod, observed, ...place, sandboxAttempt: attempt, signal });
    } catch (thrown) {
      // What was given up has not failed.
      if (signal?.aborted === true) return { waiting, acted: false };
      const { message } = toError(thrown);
      const reason = { reason: failing.reason, message };
      this.#starts.failed(key, reason, Date.now());
      this.#onEvent(pod, { type: 'Warning', reason: failing.event, message });
      return { waiting: forAll(pod, reason), acted: false };
    }
  }

  /** Removes what earlier attempts of a running pod have left. @throws RuntimeCallError; calling again goes on */
  async tidy({ metadata }: Pod, observed: ObservedPod): Promise<void> {
    const { name, namespace = 'default', uid = '' } = metadata;
    const logs = podLogFolder(this.#folders, { namespace, name, uid });
    await removeSuperseded(this.#cri, observed, (container, attempt) => [
      `${logs}/${container}/${attempt}.log`,
      terminationFile(this.#folders, { uid, container, attempt }),
    ]);
  }

  /**
   * Stops and removes everything of the pod, its volumes and logs.
   *
   * @throws RuntimeCallError; calling again goes on where it failed
   */
  async remove(observed: ObservedPod, graceSeconds: number, { signal, spec }: RemoveOptions = {}): Promise<void> {
    const options = signal === undefined ? {} : { signal };
    const { namespace, name, uid, sandbox, olderSandboxes, containers, olderContainers } = observed;
    for (const { metadata, state } of containers.values()) {
      if (state !== ContainerState.CONTAINER_RUNNING) continue;
      const container = metadata?.name ?? '';
      const message = `Stopping container ${container}`;
      const pod = { metadata: { name, namespace, uid }, ...(spec === undefined ? {} : { spec }) };
      this.#onEvent(pod, { type: 'Normal', reason: 'Killing', message, container });
    }
    const stops = [...containers.values(), ...olderContainers]
      .filter(({ state }) => state !== ContainerState.CONTAINER_EXITED)
      .map(({ id }) => this.#cri.runtime.stopContainer({ containerId: id, timeout: BigInt(graceSeconds) }, options));
    await Promise.all(stops);
    for (const { id } of [...olderSandboxes, sandbox]) {
      await this.#cri.runtime.stopPodSandbox({ podSandboxId: id }, options);
      await this.#cri.runtime.removePodSandbox({ podSandboxId: id }, options);
    }
    this.forget(uid);
    await rm(podLogFolder(this.#folders, { namespace, name, uid }), { recursive: true, force: true });
    // The last of all: by them a later kubelet knows what this one could not finish.
    await this.#volumes.remove(uid);
  }

  /** Uids of the pods of which this kubelet has files. */
  podsWithFiles(): Promise<string[]> {
    return podsWithFolders(this.#folders);
  }

  /** Removes the volumes and logs of a pod that is not there any more. */
  async removeFiles(uid: string): Promise<void> {
    await removeLogsOf(uid, this.#folders);
    await this.#volumes.remove(uid);
  }

  /** The pod is gone: so is what was remembered of its failures. */
  forget(uid: string): void {
    this.#restarts.forget(`${uid}/`);
    this.#starts.forget(`${uid}/`);
    this.#references.forget(uid);
    this.#volumes.forget(uid);
  }

  /** What runs goes on with the files it has. */
  #refreshVolumes(pod: Pod): void {
    this.#volumes.refresh(pod, ({ message }) =>
      this.#onEvent(pod, { type: 'Warning', reason: 'FailedMount', message }),
    );
  }

  async #syncContainers(step: PodStep): Promise<SyncResult> {
    const waiting = new Map<string, WaitingReason>();
    const { pod, observed, signal } = step;
    let acted = observed?.ready !== true;
    for (const { container, isEphemeral } of dueContainers(pod, observed)) {
      if (signal?.aborted === true) break;
      const result = await (isEphemeral ? this.#syncEphemeral(step, container) : this.#syncContainer(step, container));
      if (result === 'acted') acted = true;
      else if (result !== undefined) waiting.set(container.name, result);
    }
    return { waiting, acted };
  }

  /** What stays beside the containers goes when they are over. @returns whether something was stopped */
  async #endOthers(pod: Pod, observed: ObservedPod | undefined): Promise<boolean> {
    const alive = [...initContainersOf(pod), ...ephemeralContainersOf(pod)].flatMap(({ name }) => {
      const container = observed?.containers.get(name);
      return container?.state === ContainerState.CONTAINER_RUNNING ? [container] : [];
    });
    const grace = BigInt(graceOf(pod));
    await Promise.all(
      alive.map(({ id }) => this.#cri.runtime.stopContainer({ containerId: id, timeout: grace }).then(() => {})),
    );
    return alive.length > 0;
  }

  /** It is started once, whatever becomes of it; one that a kubelet made and never started has not run. */
  async #syncEphemeral(step: PodStep, container: Container): Promise<WaitingReason | 'acted' | undefined> {
    const { pod, observed } = step;
    const status = observed?.statuses.get(container.name);
    if (status !== undefined && status.state !== ContainerState.CONTAINER_CREATED) {
      // As upstream shows it: what could not start tells why where kubectl debug looks, which waits for it.
      const isShown = hasExited(status) && restarts(pod, status.exitCode);
      return isShown ? this.#starts.lastFailure(`${pod.metadata.uid}/${container.name}`) : undefined;
    }
    return this.#starter.start(step, container, 0, status?.id);
  }

  async #syncContainer(step: PodStep, container: Container): Promise<WaitingReason | 'acted' | undefined> {
    const { pod, observed } = step;
    const status = observed?.statuses.get(container.name);
    if (status === undefined) return this.#starter.start(step, container, 0);
    const attempt = (status.metadata?.attempt ?? 0) + 1;
    if (status.state === ContainerState.CONTAINER_RUNNING) return undefined;
    if (!hasExited(status)) {
      // Made but never started, by a kubelet that stopped in between, or of unknown state: as upstream, a new one.
      return this.#starter.start(step, container, attempt, status.id);
    }
    if (isInit(pod, container) ? !restartsInit(pod, observed, container) : !restarts(pod, status.exitCode))
      return undefined;
    const { remainingMs, waitMs, isNew } = this.#restartWait(pod, container, status);
    if (remainingMs > 0) {
      const { name, namespace = 'default', uid = '' } = pod.metadata;
      const shown = `${name}_${namespace}(${uid})`;
      const text = `Back-off restarting failed container ${container.name} in pod ${shown}`;
      // Told once for each attempt: a container that never stays up must not fill the store with events.
      if (isNew) this.#onEvent(pod, { type: 'Warning', reason: 'BackOff', message: text, container: container.name });
      const message = `back-off ${goDuration(waitMs)} restarting failed container=${container.name} pod=${shown}`;
      return { reason: 'CrashLoopBackOff', message };
    }
    return this.#starter.start(step, container, attempt);
  }

  #restartWait(pod: Pod, { name }: Container, status: CriContainerStatus): RestartWait {
    const endedAt = Number(status.finishedAt / 1_000_000n);
    const ranMs = endedAt - Number(status.startedAt / 1_000_000n);
    const key = `${pod.metadata.uid}/${name}`;
    return this.#restarts.waitOf(key, status.metadata?.attempt ?? 0, { endedAt, ranMs }, Date.now());
  }
}

function forAll(pod: Pod, reason: WaitingReason): Map<string, WaitingReason> {
  return new Map([...initContainersOf(pod), ...pod.spec.containers].map(({ name }) => [name, reason]));
}

/** Whole seconds as Go writes them: `40s`, `1m20s`, `5m0s`. */
function goDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.trunc(seconds / 60)}m${seconds % 60}s`;
}
