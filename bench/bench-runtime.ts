import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOST_IMAGE, ImageStore } from '../src/runtime/index.ts';
import { Containerd } from '../test/support/containerd.ts';
import { CriCaller } from '../test/support/cri-caller.ts';
import { imageArchive, TEST_IMAGE } from '../test/support/image.ts';
import { Worker } from './worker.ts';

/** The pod that all benches exec into. */
export const BENCH_POD = { pod: 'bench', namespace: 'default', container: 'main' } as const;

/** A runtime with the pod `bench`, in the host's network. Owns: the runtime. */
export interface BenchRuntime extends AsyncDisposable {
  readonly name: string;
  /** `unix:///path` */
  readonly endpoint: string;
  readonly cri: CriCaller;
  readonly containerId: string;
  /** Set where the runtime is a process of the bench's own. */
  readonly worker?: Worker;
  /** Set for containerd. */
  readonly containerd?: Containerd;
}

export async function startContainerd(): Promise<BenchRuntime> {
  const containerd = await Containerd.start();
  try {
    const { containerId } = await containerd.runPod({ name: BENCH_POD.pod, network: 'host' });
    const { endpoint, cri } = containerd;
    const dispose = (): Promise<void> => containerd.dispose();
    return { name: 'containerd', endpoint, cri, containerId, containerd, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await containerd.dispose();
    throw error;
  }
}

/** Ours. @param image the host image, or `walls` for the same image as containerd's, unpacked */
export async function startOwnRuntime(image: 'host' | 'walls' = 'host'): Promise<BenchRuntime> {
  const stateDir = mkdtempSync(join(tmpdir(), 'podwire-bench-runtime-'));
  const hasWalls = image === 'walls';
  if (hasWalls) await importTestImage(stateDir);
  const worker = await Worker.start('runtime-hop', { stateDir, isolation: hasWalls });
  const endpoint = await worker.ask<string>('endpoint');
  const cri = new CriCaller(endpoint);
  const dispose = async (): Promise<void> => {
    cri[Symbol.dispose]();
    await worker[Symbol.asyncDispose]();
    rmSync(stateDir, { recursive: true, force: true });
  };
  try {
    const command = ['sleep', '2147483647'];
    const pod = { name: BENCH_POD.pod, image: hasWalls ? TEST_IMAGE : HOST_IMAGE, command, network: 'host' as const };
    const { containerId } = await cri.runPod(pod);
    return {
      name: `podwire runtime${hasWalls ? ', walls' : ''}`,
      endpoint,
      cri,
      containerId,
      worker,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function importTestImage(stateDir: string): Promise<void> {
  const archive = join(stateDir, 'image.tar');
  writeFileSync(archive, imageArchive());
  await new ImageStore(stateDir).import(archive);
  rmSync(archive);
}
