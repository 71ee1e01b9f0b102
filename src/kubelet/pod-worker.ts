import { mkdir, rm } from 'node:fs/promises';
import { toError } from '../common/errors.ts';
import {
  ContainerState,
  type CriClient,
  type ContainerStatus as CriContainerStatus,
  type Image,
} from '../cri/index.ts';
import type { Container, EphemeralContainer, Pod } from '../kubeapi/index.ts';
import { containerConfig, type SandboxConfig, sandboxConfig } from './container-config.ts';
import { assertNotRoot, type ImageUser } from './container-security.ts';
import { type FileMount, hostsMount } from './hosts-file.ts';
import { failedInit, initContainersOf, isInitDone, isInitialized, isSidecar } from './init-containers.ts';
import { ephemeralContainersOf } from './pod-containers.ts';
import { type DnsSettings, type PodDns, podDns } from './pod-dns.ts';
import type { EventPod, Happening } from './pod-events.ts';
import type { PodAddresses } from './pod-fields.ts';
import { type PodFolders, podLogFolder } from './pod-folders.ts';
import { addressesOf, hasExited, type ObservedPod } from './pod-observer.ts';
import { PodReferences } from './pod-references.ts';
import { removeSuperseded } from './pod-remains.ts';
import { RestartBackoff, type RestartWait } from './restart-backoff.ts';
import { StartBackoff } from './start-backoff.ts';
import { terminationFile, terminationMount } from './termination-message.ts';
import { PodVolumes, type PodVolumesOptions } from './volumes/pod-volumes.ts';

/** Seconds that a container gets between its stop signal and the kill, when its pod names none. */
export const DEFAULT_GRACE_SECONDS = 30;

/** Why a container is not running yet. */
export interface WaitingReason {
  readonly reason: string;
  readonly message?: string;
}

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

/** What one sync works on. */
interface PodStep {
  readonly pod: Pod;
  readonly observed: ObservedPod | undefined;
  readonly podSandboxId: string;
  /** Of that sandbox. */
  readonly podIPs: readonly string[];
  readonly sandboxAttempt: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Brings pods into the runtime and out of it, one step at a time: each `sync` does what the last look asks for.
 *
 * Failures do not throw: they are the waiting reason of the container that they concern, and a later sync tries again.
 */
export class PodWorker {
  readonly #cri: CriClient;
  readonly #folders: PodFolders;
  readonly #hostIP: string;
  readonly #dns: DnsSettings;
  readonly #references: PodReferences;
  readonly #volumes: PodVolumes;
  readonly #onEvent: (pod: EventPod, happening: Happening) => void;
  readonly #restarts = new RestartBackoff();
  readonly #starts = new StartBackoff<WaitingReason>();

  constructor(cri: CriClient, folders: PodFolders, options: PodWorkerOptions = {}) {
    const { hostIP = '', references = new PodReferences(undefined), volumes, onEvent = () => {} } = options;
    this.#cri = cri;
    this.#folders = folders;
    this.#hostIP = hostIP;
    this.#dns = options.dns ?? {};
    this.#onEvent = onEvent;
    this.#references = references;
    this.#volumes = new PodVolumes(folders, references, volumes);
  }

  /** @param signal the pod is to go or the kubelet stops: no more is started, and what it waits for is given up */
  async sync(pod: Pod, observed: ObservedPod | undefined, signal?: AbortSignal): Promise<SyncResult> {
    const waiting = new Map<string, WaitingReason>();
    if (isOver(pod, observed)) return { waiting, acted: await this.#endOthers(pod, observed) };
    const key = `${pod.metadata.uid}/`;
    let failing = { reason: 'FailedCreatePodSandBox', event: 'FailedCreatePodSandBox' };
    try {
      if (observed?.ready === false) {
        if (await this.#endSandbox(pod, observed)) return { waiting, acted: true };
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
          : await this.#runSandbox(pod, attempt);
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
    await this.#volumes.remove(uid);
    await rm(podLogFolder(this.#folders, { namespace, name, uid }), { recursive: true, force: true });
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

  /**
   * Ends what is left of a sandbox that died: its containers may have outlived it.
   *
   * @returns whether containers were ended: how is known at the next look
   */
  async #endSandbox(pod: Pod, { sandbox, containers }: ObservedPod): Promise<boolean> {
    const grace = BigInt(graceOf(pod));
    const alive = [...containers.values()].filter(
      ({ state }) => state === ContainerState.CONTAINER_RUNNING || state === ContainerState.CONTAINER_UNKNOWN,
    );
    await Promise.all(
      alive.map(({ id }) => this.#cri.runtime.stopContainer({ containerId: id, timeout: grace }).then(() => {})),
    );
    await this.#cri.runtime.stopPodSandbox({ podSandboxId: sandbox.id });
    return alive.length > 0;
  }

  async #runSandbox(pod: Pod, attempt: number): Promise<Pick<PodStep, 'podSandboxId' | 'podIPs'>> {
    const { config, warnings } = await this.#sandboxOf(pod, attempt);
    await mkdir(config.logDirectory ?? '', { recursive: true, mode: 0o755 });
    for (const warning of warnings) this.#onEvent(pod, { type: 'Warning', ...warning });
    const { podSandboxId } = await this.#cri.runtime.runPodSandbox({ config });
    const { status } = await this.#cri.runtime.podSandboxStatus({ podSandboxId });
    return { podSandboxId, podIPs: addressesOf(status) };
  }

  async #sandboxOf(
    pod: Pod,
    attempt: number,
  ): Promise<{ readonly config: SandboxConfig; readonly warnings: PodDns['warnings'] }> {
    const { config: resolver, warnings } = await podDns(pod, this.#dns, this.#hostIP);
    return { config: sandboxConfig(pod, attempt, this.#folders, { ...this.#dns, resolver }), warnings };
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
    return this.#startContainer(step, container, 0, status?.id);
  }

  async #syncContainer(step: PodStep, container: Container): Promise<WaitingReason | 'acted' | undefined> {
    const { pod, observed } = step;
    const status = observed?.statuses.get(container.name);
    if (status === undefined) return this.#startContainer(step, container, 0);
    const attempt = (status.metadata?.attempt ?? 0) + 1;
    if (status.state === ContainerState.CONTAINER_RUNNING) return undefined;
    if (!hasExited(status)) {
      // Made but never started, by a kubelet that stopped in between, or of unknown state: as upstream, a new one.
      return this.#startContainer(step, container, attempt, status.id);
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
    return this.#startContainer(step, container, attempt);
  }

  #restartWait(pod: Pod, { name }: Container, status: CriContainerStatus): RestartWait {
    const endedAt = Number(status.finishedAt / 1_000_000n);
    const ranMs = endedAt - Number(status.startedAt / 1_000_000n);
    const key = `${pod.metadata.uid}/${name}`;
    return this.#restarts.waitOf(key, status.metadata?.attempt ?? 0, { endedAt, ranMs }, Date.now());
  }

  /** @param replaced id of an attempt that is in the way */
  async #startContainer(
    step: PodStep,
    container: Container,
    attempt: number,
    replaced?: string,
  ): Promise<WaitingReason | 'acted'> {
    const { pod, podSandboxId, signal } = step;
    const ofPod = { uid: pod.metadata.uid ?? '', container: container.name };
    const key = `${ofPod.uid}/${ofPod.container}`;
    const late = this.#starts.waiting(key, Date.now());
    if (late !== undefined) return late.reason === 'ErrImagePull' ? { ...late, reason: 'ImagePullBackOff' } : late;
    let failing = 'ErrImagePull';
    try {
      const image = await this.#ensureImage(pod, container, signal);
      failing = 'CreateContainerConfigError';
      assertNotRoot(pod, container, image);
      const config = await containerConfig(pod, container, attempt, {
        folders: this.#folders,
        addresses: this.#addressesOf(step),
        references: this.#references,
        targetId: targetIdOf(container, step.observed),
        files: await this.#filesOf(step, container, attempt),
        signal,
      });
      const { config: sandbox } = await this.#sandboxOf(pod, step.sandboxAttempt);
      failing = 'CreateContainerError';
      if (replaced !== undefined) {
        await this.#cri.runtime.removeContainer({ containerId: replaced });
        if (attempt > 0) await rm(terminationFile(this.#folders, { ...ofPod, attempt: attempt - 1 }), { force: true });
      }
      await mkdir(`${sandbox.logDirectory}/${container.name}`, { recursive: true, mode: 0o755 });
      const request = { podSandboxId, config, sandboxConfig: sandbox };
      const { containerId } = await this.#cri.runtime.createContainer(request);
      const tell = (reason: string, message: string): void =>
        this.#onEvent(pod, { type: 'Normal', reason, message, container: container.name });
      tell('Created', `Created container: ${container.name}`);
      failing = 'RunContainerError';
      await this.#cri.runtime.startContainer({ containerId });
      tell('Started', `Started container ${container.name}`);
      this.#starts.succeeded(key);
      return 'acted';
    } catch (thrown) {
      const { message } = toError(thrown);
      const reason = { reason: failing, message };
      if (signal?.aborted === true) return reason;
      this.#starts.failed(key, reason, Date.now());
      const text =
        failing === 'ErrImagePull'
          ? `Failed to pull image "${container.image ?? ''}": ${message}`
          : `Error: ${message}`;
      this.#onEvent(pod, { type: 'Warning', reason: 'Failed', message: text, container: container.name });
      return reason;
    }
  }

  #addressesOf({ pod, podIPs }: PodStep): PodAddresses {
    return { hostIP: this.#hostIP, podIPs: pod.spec.hostNetwork === true ? [this.#hostIP] : podIPs };
  }

  /** What the container is given beside the volumes of its pod. */
  async #filesOf({ pod, podIPs }: PodStep, container: Container, attempt: number): Promise<readonly FileMount[]> {
    return [
      ...(await hostsMount(pod, container, { ...this.#dns, folders: this.#folders, podIPs })),
      ...(await terminationMount(pod, container, attempt, this.#folders)),
    ];
  }

  /** @returns what it says of its user */
  async #ensureImage(pod: Pod, container: Container, signal: AbortSignal | undefined): Promise<ImageUser> {
    const image = { image: container.image ?? '' };
    const policy = container.imagePullPolicy ?? 'IfNotPresent';
    const tell = (reason: string, message: string): void =>
      this.#onEvent(pod, { type: 'Normal', reason, message, container: container.name });
    if (policy !== 'Always') {
      const { image: found } = await this.#cri.image.imageStatus({ image });
      if (found !== undefined) {
        tell('Pulled', `Container image "${image.image}" already present on machine`);
        return userOf(found);
      }
      if (policy === 'Never')
        throw new Error(`Container image "${image.image}" is not present with pull policy of Never`);
    }
    tell('Pulling', `Pulling image "${image.image}"`);
    await this.#cri.image.pullImage({ image }, signal === undefined ? {} : { signal });
    tell('Pulled', `Successfully pulled image "${image.image}"`);
    const { image: pulled } = await this.#cri.image.imageStatus({ image });
    return userOf(pulled);
  }
}

function userOf(image: Image | undefined): ImageUser {
  return { uid: image?.uid?.value, username: image?.username };
}

function forAll(pod: Pod, reason: WaitingReason): Map<string, WaitingReason> {
  return new Map([...initContainersOf(pod), ...pod.spec.containers].map(({ name }) => [name, reason]));
}

function graceOf({ spec }: Pod): number {
  return Math.max(0, spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS);
}

/** A container whose turn it is. */
interface DueContainer {
  readonly container: Container;
  readonly isEphemeral: boolean;
}

/** Ephemeral containers come first, in a pod that is there: they are to help with what keeps the others waiting. */
function dueContainers(pod: Pod, observed: ObservedPod | undefined): readonly DueContainer[] {
  const ephemeral = observed?.ready === true ? ephemeralContainersOf(pod) : [];
  return [
    ...ephemeral.map((container) => ({ container, isEphemeral: true })),
    ...dueInOrder(pod, observed).map((container) => ({ container, isEphemeral: false })),
  ];
}

/** Init containers one after the other, with the sidecars before them, then all sidecars and containers. */
function dueInOrder(pod: Pod, observed: ObservedPod | undefined): readonly Container[] {
  const inits = initContainersOf(pod);
  if (isInitialized(pod, observed)) return [...inits.filter(isSidecar), ...pod.spec.containers];
  const at = inits.findIndex((container) => !isInitDone(container, observed));
  return inits.filter((container, index) => index === at || (index < at && isSidecar(container)));
}

/**
 * The id of the container whose processes an ephemeral one is to see.
 *
 * @throws Error in upstream's words while there is none
 */
function targetIdOf(
  { targetContainerName = '' }: EphemeralContainer,
  observed: ObservedPod | undefined,
): string | undefined {
  if (targetContainerName === '') return undefined;
  const id = observed?.statuses.get(targetContainerName)?.id;
  if (id === undefined) throw new Error(`unable to find target container ${targetContainerName}`);
  return id;
}

function isInit(pod: Pod, { name }: Container): boolean {
  return initContainersOf(pod).some((container) => container.name === name);
}

/** A sidecar always starts again; one that has failed in a pod that may restart; one that did its part in an older sandbox. */
function restartsInit(pod: Pod, observed: ObservedPod | undefined, container: Container): boolean {
  if (isSidecar(container)) return true;
  return !isInitDone(container, observed) && failedInit(pod, observed) === undefined;
}

function restarts(pod: Pod, exitCode: number): boolean {
  const policy = pod.spec.restartPolicy ?? 'Always';
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}

/** All containers ended and none is to run again. */
function isOver(pod: Pod, observed: ObservedPod | undefined): boolean {
  if (failedInit(pod, observed) !== undefined) return true;
  return pod.spec.containers.every(({ name }) => {
    const status = observed?.statuses.get(name);
    return status !== undefined && hasExited(status) && !restarts(pod, status.exitCode);
  });
}

/** Whole seconds as Go writes them: `40s`, `1m20s`, `5m0s`. */
function goDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.trunc(seconds / 60)}m${seconds % 60}s`;
}
