import { mkdir, rm } from 'node:fs/promises';
import { toError } from '../common/errors.ts';
import type { CriServices, Image } from '../cri/index.ts';
import type { Container, EphemeralContainer, Pod } from '../kubeapi/index.ts';
import { containerConfig } from './container-config.ts';
import { assertNotRoot, type ImageUser } from './container-security.ts';
import { type FileMount, hostsMount } from './hosts-file.ts';
import type { EventPod, Happening } from './pod-events.ts';
import type { PodAddresses } from './pod-fields.ts';
import type { PodFolders } from './pod-folders.ts';
import type { ObservedPod } from './pod-observer.ts';
import type { PodReferences } from './pod-references.ts';
import type { PodSandboxes } from './pod-sandboxes.ts';
import type { StartBackoff } from './start-backoff.ts';
import { terminationFile, terminationMount } from './termination-message.ts';

/** Why a container is not running yet. */
export interface WaitingReason {
  readonly reason: string;
  readonly message?: string;
}

/** What one sync works on. */
export interface PodStep {
  readonly pod: Pod;
  readonly observed: ObservedPod | undefined;
  readonly podSandboxId: string;
  /** Of that sandbox. */
  readonly podIPs: readonly string[];
  readonly sandboxAttempt: number;
  readonly signal: AbortSignal | undefined;
}

export interface ContainerStarterOptions {
  readonly cri: CriServices;
  readonly folders: PodFolders;
  /** The node's address, for containers that ask. */
  readonly hostIP: string;
  readonly clusterDomain: string | undefined;
  readonly references: PodReferences;
  readonly sandboxes: PodSandboxes;
  readonly starts: StartBackoff<WaitingReason>;
  readonly onEvent: (pod: EventPod, happening: Happening) => void;
}

/**
 * Makes and starts one attempt of a container: its image, its files, then the runtime's part.
 *
 * Failures do not throw: they are the reason why the container waits, and it is not tried again before its back-off is over.
 */
export class ContainerStarter {
  readonly #options: ContainerStarterOptions;

  constructor(options: ContainerStarterOptions) {
    this.#options = options;
  }

  /** @param replaced id of an attempt that is in the way */
  async start(
    step: PodStep,
    container: Container,
    attempt: number,
    replaced?: string,
  ): Promise<WaitingReason | 'acted'> {
    const { cri, folders, references, sandboxes, starts, onEvent } = this.#options;
    const { pod, podSandboxId, signal } = step;
    const ofPod = { uid: pod.metadata.uid ?? '', container: container.name };
    const key = `${ofPod.uid}/${ofPod.container}`;
    const late = starts.waiting(key, Date.now());
    if (late !== undefined) return late.reason === 'ErrImagePull' ? { ...late, reason: 'ImagePullBackOff' } : late;
    let failing = 'ErrImagePull';
    try {
      const image = await this.#ensureImage(pod, container, signal);
      failing = 'CreateContainerConfigError';
      assertNotRoot(pod, container, image);
      const config = await containerConfig(pod, container, attempt, {
        folders,
        addresses: this.#addressesOf(step),
        references,
        targetId: targetIdOf(container, step.observed),
        files: await this.#filesOf(step, container, attempt),
        signal,
      });
      const { config: sandbox } = await sandboxes.configOf(pod, step.sandboxAttempt);
      failing = 'CreateContainerError';
      if (replaced !== undefined) {
        await cri.runtime.removeContainer({ containerId: replaced });
        if (attempt > 0) await rm(terminationFile(folders, { ...ofPod, attempt: attempt - 1 }), { force: true });
      }
      await mkdir(`${sandbox.logDirectory}/${container.name}`, { recursive: true, mode: 0o755 });
      const request = { podSandboxId, config, sandboxConfig: sandbox };
      const { containerId } = await cri.runtime.createContainer(request);
      const tell = (reason: string, message: string): void =>
        onEvent(pod, { type: 'Normal', reason, message, container: container.name });
      tell('Created', `Created container: ${container.name}`);
      failing = 'RunContainerError';
      await cri.runtime.startContainer({ containerId });
      tell('Started', `Started container ${container.name}`);
      starts.succeeded(key);
      return 'acted';
    } catch (thrown) {
      const { message } = toError(thrown);
      const reason = { reason: failing, message };
      if (signal?.aborted === true) return reason;
      starts.failed(key, reason, Date.now());
      const text =
        failing === 'ErrImagePull'
          ? `Failed to pull image "${container.image ?? ''}": ${message}`
          : `Error: ${message}`;
      onEvent(pod, { type: 'Warning', reason: 'Failed', message: text, container: container.name });
      return reason;
    }
  }

  #addressesOf({ pod, podIPs }: PodStep): PodAddresses {
    const { hostIP } = this.#options;
    return { hostIP, podIPs: pod.spec.hostNetwork === true ? [hostIP] : podIPs };
  }

  /** What the container is given beside the volumes of its pod. */
  async #filesOf({ pod, podIPs }: PodStep, container: Container, attempt: number): Promise<readonly FileMount[]> {
    const { folders, clusterDomain } = this.#options;
    return [
      ...(await hostsMount(pod, container, { folders, podIPs, clusterDomain })),
      ...(await terminationMount(pod, container, attempt, folders)),
    ];
  }

  /** @returns what it says of its user */
  async #ensureImage(pod: Pod, container: Container, signal: AbortSignal | undefined): Promise<ImageUser> {
    const { cri, onEvent } = this.#options;
    const image = { image: container.image ?? '' };
    const policy = container.imagePullPolicy ?? 'IfNotPresent';
    const tell = (reason: string, message: string): void =>
      onEvent(pod, { type: 'Normal', reason, message, container: container.name });
    if (policy !== 'Always') {
      const { image: found } = await cri.image.imageStatus({ image });
      if (found !== undefined) {
        tell('Pulled', `Container image "${image.image}" already present on machine`);
        return userOf(found);
      }
      if (policy === 'Never')
        throw new Error(`Container image "${image.image}" is not present with pull policy of Never`);
    }
    tell('Pulling', `Pulling image "${image.image}"`);
    await cri.image.pullImage({ image }, signal === undefined ? {} : { signal });
    tell('Pulled', `Successfully pulled image "${image.image}"`);
    const { image: pulled } = await cri.image.imageStatus({ image });
    return userOf(pulled);
  }
}

function userOf(image: Image | undefined): ImageUser {
  return { uid: image?.uid?.value, username: image?.username };
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
