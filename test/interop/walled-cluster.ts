import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { type Cluster, NODE_NAME, startCluster } from '../../src/cluster/index.ts';
import { isolationObstacle } from '../../src/runtime/isolation/index.ts';
import { Containerd } from '../support/containerd.ts';
import type { PeerName } from '../support/find-peer.ts';
import { findBusybox, imageArchive, TEST_IMAGE } from '../support/image.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';

/** How long something that a kubelet does may take, and how often it is looked for. */
export const patience = { timeout: 60_000, interval: 200 };

const obstacle = (await isolationObstacle()) ?? (findBusybox() === undefined ? 'no static BusyBox' : undefined);

/** Describes what pods with walls do by kubectl and our hops: of our runtime, then of containerd. */
export function describeWalledClusters(
  title: string,
  peers: readonly PeerName[],
  suite: (cluster: WalledCluster) => void,
): void {
  const before = (runtime: WalledCluster['runtime']) => (): void => {
    const cluster = new WalledCluster(runtime);
    beforeAll(() => cluster.start(), 120_000);
    afterAll(() => cluster[Symbol.asyncDispose](), 60_000);
    suite(cluster);
  };
  const skipped = obstacle === undefined ? '' : ` (skipped: ${obstacle})`;
  describe.skipIf(obstacle !== undefined)(`${title}: walls of our own${skipped}`, () => {
    describeWithPeer(['kubectl', ...peers], 'kubectl, our hops and our runtime', before('ours'));
  });
  describeWithPeer(
    ['kubectl', 'containerd', ...peers],
    `${title}: kubectl, our hops and containerd`,
    before('containerd'),
  );
}

/** Our hops in this process, with a node whose runtime has TEST_IMAGE and gives it walls. Owns: all of them. */
export class WalledCluster implements AsyncDisposable {
  readonly runtime: 'containerd' | 'ours';
  readonly nodeName: string = NODE_NAME;
  #stateDir: string | undefined;
  #containerd: Containerd | undefined;
  #cluster: Cluster | undefined;
  #kubectl: Kubectl | undefined;
  readonly #problems: string[] = [];

  constructor(runtime: WalledCluster['runtime']) {
    this.runtime = runtime;
  }

  async start(): Promise<void> {
    const stateDir = mkdtempSync(join(tmpdir(), 'podwire-walled-'));
    this.#stateDir = stateDir;
    this.#containerd = this.runtime === 'containerd' ? await Containerd.start() : undefined;
    const archive = join(stateDir, 'image.tar');
    if (this.#containerd === undefined) writeFileSync(archive, imageArchive());
    const ofRuntime =
      this.#containerd === undefined
        ? { demoImage: archive, isolation: true }
        : { demoImage: TEST_IMAGE, containerRuntimeEndpoint: this.#containerd.endpoint };
    const onProblem = (message: string): void => void this.#problems.push(message);
    const options = { stateDir, securePort: 0, version: 'v0.0.0-test', onProblem, ...ofRuntime };
    this.#cluster = await startCluster(options);
    this.#kubectl = await Kubectl.create({ kubeconfig: this.#cluster.kubeconfig });
  }

  get kubectl(): Kubectl {
    if (this.#kubectl === undefined) throw new Error('the cluster has not started');
    return this.#kubectl;
  }

  /** By kubectl. */
  async create(name: string, spec: object): Promise<void> {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
    const made = await this.kubectl.run(['create', '-f', '-'], { stdin: Buffer.from(JSON.stringify(pod)) });
    expect(made.stderr.toString()).toBe('');
  }

  /** What kubectl shows of a pod's status. */
  statusOf(pod: string, path: string): Promise<string> {
    return this.kubectl.must('get', 'pod', pod, '-o', `jsonpath={.status.${path}}`);
  }

  untilOver(pod: string): Promise<void> {
    return expect.poll(() => this.statusOf(pod, 'phase'), patience).toMatch(/^(Succeeded|Failed)$/);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#kubectl?.[Symbol.dispose]();
    await this.#cluster?.close();
    await this.#containerd?.dispose();
    expect(this.#problems.filter((message) => message.startsWith('stopping: '))).toEqual([]);
    if (this.#stateDir !== undefined) rmSync(this.#stateDir, { recursive: true, force: true });
  }
}

/** A container that runs a script of sh in TEST_IMAGE. */
export function shell(script: string, more: object = {}): object {
  const image = { image: TEST_IMAGE, imagePullPolicy: 'IfNotPresent' };
  return { name: 'main', ...image, command: ['sh', '-c', script], ...more };
}
