import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Apiserver, startApiserver } from '../../src/apiserver/index.ts';
import { CriClient } from '../../src/cri/index.ts';
import { createTransport, KubeClient, nodes, type Pod, pods } from '../../src/kubeapi/index.ts';
import { type KubeletOptions, type RunningKubelet, startKubelet } from '../../src/kubelet/index.ts';
import { HOST_IMAGE, type RunningRuntime, startRuntime } from '../../src/runtime/index.ts';
import { freePort } from '../support/free-port.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

let folder: string;
let port: number;
let runtime: RunningRuntime;
let apiserver: Apiserver;
let client: KubeClient;
let kubelet: RunningKubelet;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-restart-'));
  mkdirSync(join(folder, 'manifests'));
  port = await freePort();
  runtime = await startRuntime({ stateDir: join(folder, 'runtime') });
  apiserver = await serveApi();
  client = new KubeClient(createTransport({ server: new URL(`http://127.0.0.1:${port}`) }));
});

afterEach(async () => {
  await kubelet.close();
  client.close();
  await apiserver.close();
  await runtime.close();
  rmSync(folder, { recursive: true, force: true });
});

/** An apiserver that remembers nothing, on the port of the one before. */
function serveApi(): Promise<Apiserver> {
  return startApiserver({
    insecurePort: port,
    anonymousAuth: true,
    authorizationMode: 'AlwaysAllow',
    shutdownGraceMs: 0,
  });
}

function manifest(name: string): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      nodeName: 'n1',
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: HOST_IMAGE, command: ['sleep', '100000'] }],
    },
  };
}

async function start(options: Partial<KubeletOptions> = {}): Promise<void> {
  kubelet = await startKubelet({
    containerRuntimeEndpoint: runtime.endpoints[0] ?? '',
    rootDir: join(folder, 'kubelet'),
    podManifestPath: join(folder, 'manifests'),
    nodeName: 'n1',
    nodeAddress: '127.0.0.1',
    port: 0,
    syncPeriodMs: 100,
    version: '0',
    apiserver: client,
    authenticate: async () => ({ name: 'admin', groups: [] }),
    authorize: async () => true,
    ...options,
  });
  await kubelet.registered;
}

async function phaseOf(name: string): Promise<string | undefined> {
  return (await client.get(pods, name, { namespace: 'default' }).catch(() => undefined))?.status?.phase;
}

const patience = { timeout: 30_000, interval: 100 };

describe('a kubelet whose apiserver restarts and has forgotten everything', () => {
  it('registers again, mirrors its static pods again, and ends the pods that nobody wants any more', async () => {
    writeFileSync(join(folder, 'manifests', 'static.yaml'), JSON.stringify(manifest('static')));
    await start();
    await client.create(pods, manifest('bound'), { namespace: 'default' });
    await expect.poll(() => phaseOf('static-n1'), patience).toBe('Running');
    await expect.poll(() => phaseOf('bound'), patience).toBe('Running');
    await apiserver.close();
    apiserver = await serveApi();
    await expect.poll(() => phaseOf('static-n1'), patience).toBe('Running');
    await expect
      .poll(
        () =>
          client.get(nodes, 'n1').then(
            () => true,
            () => false,
          ),
        patience,
      )
      .toBe(true);
    await using cri = new CriClient(runtime.endpoints[0] ?? '');
    const running = async (): Promise<(string | undefined)[]> =>
      (await cri.runtime.listPodSandbox({})).items.map(({ metadata }) => metadata?.name);
    await expect.poll(running, patience).toEqual(['static-n1']);
  });

  it.each([
    ['at once', { gracePeriodSeconds: 0 }],
    ['with the usual grace', {}],
  ])('makes a mirror again that somebody deleted %s', async (_how, how) => {
    const { spec, ...pod } = manifest('static');
    const patient = { ...pod, spec: { ...spec, terminationGracePeriodSeconds: 30 } };
    writeFileSync(join(folder, 'manifests', 'static.yaml'), JSON.stringify(patient));
    await start();
    await expect.poll(() => phaseOf('static-n1'), patience).toBe('Running');
    const { metadata } = await client.get(pods, 'static-n1', { namespace: 'default' });
    await client.delete(pods, 'static-n1', { namespace: 'default', ...how });
    const uid = async (): Promise<string | undefined> =>
      (await client.get(pods, 'static-n1', { namespace: 'default' }).catch(() => undefined))?.metadata.uid;
    await expect.poll(async () => ![undefined, metadata.uid].includes(await uid()), patience).toBe(true);
    await expect.poll(() => phaseOf('static-n1'), patience).toBe('Running');
  });
});

describe('a mirror', () => {
  const find = async (): Promise<Pod | undefined> =>
    client.get(pods, 'static-n1', { namespace: 'default' }).catch(() => undefined);
  const containers = async (): Promise<string[]> => {
    await using cri = new CriClient(runtime.endpoints[0] ?? '');
    return (await cri.runtime.listContainers({})).containers.map(({ id }) => id);
  };

  it('that somebody deletes with the usual grace, or changes, is made again, and its pod does not notice', async () => {
    writeFileSync(join(folder, 'manifests', 'static.yaml'), JSON.stringify(manifest('static')));
    await start();
    await expect.poll(() => phaseOf('static-n1'), patience).toBe('Running');
    const [first, running] = [await find(), await containers()];
    await client.delete(pods, 'static-n1', { namespace: 'default', gracePeriodSeconds: 30 });
    await expect
      .poll(async () => (await find())?.metadata.uid ?? first?.metadata.uid, patience)
      .not.toBe(first?.metadata.uid);
    const image = { spec: { containers: [{ name: 'main', image: 'example.com/other:1' }] } };
    await client.patch(pods, 'static-n1', image, { namespace: 'default' });
    await expect.poll(async () => (await find())?.spec.containers[0]?.image, patience).toBe(HOST_IMAGE);
    const annotations = { 'kubernetes.io/config.mirror': null };
    await expect(
      client.patch(pods, 'static-n1', { metadata: { annotations } }, { namespace: 'default' }),
    ).rejects.toThrow('may not remove or update mirror pod annotation');
    await expect.poll(() => phaseOf('static-n1'), patience).toBe('Running');
    expect(await containers()).toEqual(running);
  });

  it('whose pod went while no kubelet ran is taken away by the next one', async () => {
    writeFileSync(join(folder, 'manifests', 'static.yaml'), JSON.stringify(manifest('static')));
    await start();
    await expect.poll(() => phaseOf('static-n1'), patience).toBe('Running');
    await kubelet.close();
    rmSync(join(folder, 'manifests', 'static.yaml'));
    await start();
    await expect.poll(find, patience).toBe(undefined);
    await expect.poll(containers, patience).toEqual([]);
  });
});

describe('a kubelet that is cut off from its apiserver', () => {
  it('comes back by itself although its connections never hear of it, and learns what it missed', async () => {
    await using cable = await TcpProxy.start({ host: '127.0.0.1', port });
    const far = new KubeClient(createTransport({ server: new URL(`http://127.0.0.1:${cable.port}`) }));
    const said: string[] = [];
    try {
      await start({ apiserver: far, heartbeatMs: 200, onError: (message) => said.push(message) });
      cable.freeze();
      await client.create(pods, manifest('missed'), { namespace: 'default' });
      await expect.poll(() => said.join('\n'), patience).toMatch(/node registration: .* took longer than 200 ms/);
      expect(await phaseOf('missed')).not.toBe('Running');
      // What was under way stays dead, as behind a firewall that forgot it; new connections get through.
      cable.breakNext(undefined);
      await expect.poll(() => phaseOf('missed'), patience).toBe('Running');
    } finally {
      await kubelet.close();
      far.close();
    }
  });
});
