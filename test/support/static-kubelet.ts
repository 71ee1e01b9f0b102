import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pod } from '../../src/kubeapi/index.ts';
import { type KubeletOptions, type RunningKubelet, startKubelet } from '../../src/kubelet/index.ts';

const START_MS = 20_000;

/** Where {@link startStaticKubelet} looks for static pods. */
export function manifestsOf(folder: string): string {
  return join(folder, 'manifests');
}

/**
 * The kubelet of node `n1` in this process, which has no apiserver and lets everybody in, with its folders and static
 * pods in `folder`.
 *
 * @param endpoint of its runtime
 */
export async function startStaticKubelet(
  folder: string,
  endpoint: string,
  options: Partial<KubeletOptions> = {},
): Promise<RunningKubelet> {
  mkdirSync(manifestsOf(folder), { recursive: true });
  return await startKubelet({
    containerRuntimeEndpoint: endpoint,
    rootDir: join(folder, 'kubelet'),
    podManifestPath: manifestsOf(folder),
    nodeName: 'n1',
    port: 0,
    version: '0',
    syncPeriodMs: 100,
    authenticate: async () => ({ name: 'apiserver', groups: [] }),
    authorize: async () => true,
    ...options,
  });
}

/** The same with one pod, `web`, which runs when this resolves. */
export async function startKubeletWithPod(
  folder: string,
  endpoint: string,
  { spec, ...options }: Partial<KubeletOptions> & { readonly spec: Pod['spec'] },
): Promise<RunningKubelet> {
  mkdirSync(manifestsOf(folder), { recursive: true });
  const pod: Pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' }, spec };
  writeFileSync(join(manifestsOf(folder), 'web.json'), JSON.stringify(pod));
  const kubelet = await startStaticKubelet(folder, endpoint, options);
  for (const deadline = Date.now() + START_MS; ; await delay(50)) {
    const list = await fetch(`${kubelet.url}/pods`).then((answer) => answer.text());
    if (list.includes('"phase":"Running"')) return kubelet;
    if (Date.now() < deadline) continue;
    await kubelet.close(0);
    throw new Error(`the pod does not run: ${list}`);
  }
}
