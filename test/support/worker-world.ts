import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { CriClient } from '../../src/cri/index.ts';
import type { Container, Pod, PodStatus } from '../../src/kubeapi/index.ts';
import { containerConfig } from '../../src/kubelet/container-config.ts';
import { type ObservedPod, PodObserver } from '../../src/kubelet/pod-observer.ts';
import { PodReferences } from '../../src/kubelet/pod-references.ts';
import { podStatus } from '../../src/kubelet/pod-status.ts';
import { PodWorker, type PodWorkerOptions } from '../../src/kubelet/pod-worker.ts';
import { HOST_IMAGE, type RunningRuntime, startRuntime } from '../../src/runtime/index.ts';

/** A pod of one container. */
export function podOf(spec: Partial<Pod['spec']> = {}, command = ['sleep', '100000']): Pod {
  const containers = [{ name: 'main', image: HOST_IMAGE, command }];
  return {
    metadata: { name: 'web', namespace: 'default', uid: 'u-1' },
    spec: { nodeName: 'n1', terminationGracePeriodSeconds: 0, containers, ...spec },
  };
}

/** A container that runs a script of sh. */
export const shell = (name: string, script: string): { name: string; image: string; command: string[] } => ({
  name,
  image: HOST_IMAGE,
  command: ['sh', '-c', script],
});

/** A kubelet's worker before a runtime of its own, and at most one pod. Owns: the runtime and its folder. */
export class WorkerWorld implements AsyncDisposable {
  readonly folder: string;
  readonly cri: CriClient;
  worker: PodWorker;
  readonly #runtime: RunningRuntime;

  private constructor(folder: string, runtime: RunningRuntime) {
    this.folder = folder;
    this.#runtime = runtime;
    this.cri = new CriClient(runtime.endpoints[0] ?? '');
    this.worker = this.newWorker();
  }

  static async start(): Promise<WorkerWorld> {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-worker-'));
    return new WorkerWorld(folder, await startRuntime({ stateDir: join(folder, 'runtime') }));
  }

  get folders(): { readonly logs: string; readonly volumes: string } {
    return { logs: join(this.folder, 'logs'), volumes: join(this.folder, 'volumes') };
  }

  /** As of a kubelet that has just started: it remembers nothing. */
  newWorker(options?: PodWorkerOptions): PodWorker {
    this.worker = new PodWorker(this.cri, this.folders, options);
    return this.worker;
  }

  /** Of the first container. */
  configOf(pod: Pod, attempt: number): ReturnType<typeof containerConfig> {
    const sources = {
      folders: this.folders,
      addresses: { hostIP: '', podIPs: [] },
      references: new PodReferences(undefined),
    };
    return containerConfig(pod, pod.spec.containers[0] as Container, attempt, sources);
  }

  async observe(): Promise<ObservedPod | undefined> {
    const pods = await new PodObserver(this.cri, undefined, this.folders).observe();
    expect(pods.length).toBeLessThan(2);
    return pods[0];
  }

  /** Looks and syncs until a look leads to nothing. */
  async settle(pod: Pod): Promise<ObservedPod | undefined> {
    for (let turn = 0; turn < 10; turn += 1) {
      const { acted } = await this.worker.sync(pod, await this.observe());
      if (!acted) return await this.observe();
    }
    throw new Error('the pod never settled');
  }

  /** Looks and syncs once. @returns the pod's status then */
  async statusOf(pod: Pod): Promise<PodStatus> {
    const { waiting } = await this.worker.sync(pod, await this.observe());
    const context = { hostIP: '10.0.0.1', runtimeName: 'podwire', now: new Date() };
    return podStatus(pod, await this.observe(), { ...context, waiting });
  }

  /** Looks and syncs until the pod's status is as wanted. */
  async until(pod: Pod, isRight: (status: PodStatus) => boolean): Promise<PodStatus> {
    let status: PodStatus | undefined;
    await expect
      .poll(
        async () => {
          status = await this.statusOf(pod);
          return isRight(status);
        },
        { timeout: 20_000 },
      )
      .toBe(true);
    return status as PodStatus;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cri.close();
    await this.#runtime.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
