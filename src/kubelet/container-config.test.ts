import { describe, expect, it } from 'vitest';
import { NamespaceMode } from '../cri/index.ts';
import type { Container, Pod, Volume } from '../kubeapi/index.ts';
import { containerConfig } from './container-config.ts';
import { podLogFolder, podVolumesFolder } from './pod-folders.ts';
import { PodReferences } from './pod-references.ts';
import { sandboxConfig } from './sandbox-config.ts';
import { volumePath } from './volumes/volume-path.ts';

const folders = { logs: '/logs', volumes: '/volumes' };

function podWith(metadata: Partial<Pod['metadata']>, container: Partial<Container> = {}, volumes: Volume[] = []): Pod {
  return {
    metadata: { name: 'web', namespace: 'default', uid: 'u-1', ...metadata },
    spec: { nodeName: 'n1', containers: [{ name: 'main', image: 'x', ...container }], volumes },
  };
}

function configOf(pod: Pod, more: { readonly targetId?: string } = {}): ReturnType<typeof containerConfig> {
  const [container] = pod.spec.containers;
  const addresses = { hostIP: '', podIPs: [] };
  return containerConfig(pod, container as Container, 0, {
    folders,
    addresses,
    references: new PodReferences(undefined),
    ...more,
  });
}

describe('the groups of a container', () => {
  it('are those that its pod adds, and the one that owns its volumes', async () => {
    const pod = podWith({});
    const securityContext = { supplementalGroups: [10, 11], fsGroup: 2000 };
    const { linux } = await configOf({ ...pod, spec: { ...pod.spec, securityContext } });
    expect(linux?.securityContext?.supplementalGroups).toEqual([10n, 11n, 2000n]);
  });
});

describe('the processes that a container sees', () => {
  const pidOf = async (pod: Pod, targetId?: string): Promise<unknown> =>
    (await configOf(pod, targetId === undefined ? {} : { targetId })).linux?.securityContext?.namespaceOptions;

  it('are its own, those of its pod, or those of its target, whatever the pod says', async () => {
    const pod = podWith({});
    const sharing = { ...pod, spec: { ...pod.spec, shareProcessNamespace: true } };
    expect(await pidOf(pod)).toMatchObject({ pid: NamespaceMode.CONTAINER });
    expect(await pidOf(sharing)).toMatchObject({ pid: NamespaceMode.POD });
    expect(await pidOf(sharing, 'c-1')).toMatchObject({ pid: NamespaceMode.TARGET, targetId: 'c-1' });
  });
});

describe('a sandbox', () => {
  it('has no user namespace of its own', () => {
    const pod = podWith({});
    expect(() => sandboxConfig({ ...pod, spec: { ...pod.spec, hostUsers: false } }, 0, folders)).toThrow('hostUsers');
  });

  it('is privileged when any of its containers is, whenever that one came', () => {
    const pod = podWith({});
    const privileged = { name: 'debugger', image: 'x', securityContext: { privileged: true } };
    const isPrivileged = (spec: Partial<Pod['spec']>): unknown =>
      sandboxConfig({ ...pod, spec: { ...pod.spec, ...spec } }, 0, folders).linux?.securityContext?.privileged;
    expect([{}, { initContainers: [privileged] }, { ephemeralContainers: [privileged] }].map(isPrivileged)).toEqual([
      false,
      true,
      true,
    ]);
  });
});

describe('a mount of a volume of files', () => {
  it('is read-only, whatever the pod says', async () => {
    const volumes: Volume[] = [{ name: 'config', configMap: { name: 'c' } }];
    const { mounts } = await configOf(podWith({}, { volumeMounts: [{ name: 'config', mountPath: '/c' }] }, volumes));
    expect(mounts).toMatchObject([{ hostPath: '/volumes/u-1/config', readonly: true }]);
  });
});

describe('what a pod says stays inside the kubelet’s folders', () => {
  it('names its log folder and volumes by namespace, name and uid', async () => {
    expect(sandboxConfig(podWith({}), 0, folders)).toMatchObject({
      logDirectory: '/logs/default_web_u-1',
      annotations: { 'podwire.local/started-by': 'n1' },
    });
    const data: Volume = { name: 'data', emptyDir: {} };
    const mounted = podWith({}, { volumeMounts: [{ name: 'data', mountPath: '/d' }] }, [data]);
    expect((await configOf(mounted)).mounts?.[0]?.hostPath).toBe('/volumes/u-1/data');
  });

  it.each(['', '.', '..', '../x', 'a/../../x', '/etc', 'a\0b'])('refuses %j as uid, name and namespace', (bad) => {
    const fit = { namespace: 'default', name: 'web', uid: 'u-1' };
    expect(() => podVolumesFolder(folders, bad)).toThrow('cannot be a part of a path');
    for (const key of ['namespace', 'name', 'uid']) {
      expect(() => podLogFolder(folders, { ...fit, [key]: bad })).toThrow('cannot be a part of a path');
    }
  });

  it('refuses names of containers and volumes that leave the folder', async () => {
    await expect(configOf(podWith({}, { name: '../../etc' }))).rejects.toThrow('container name "../../etc"');
    expect(() => volumePath(podWith({}), { name: '..', emptyDir: {} }, folders)).toThrow('volume name ".."');
  });

  it.each(['..', '../x', 'a/../../b', '/etc', 'a/..'])('refuses the subPath %j', async (subPath) => {
    const mount = { name: 'data', mountPath: '/d', subPath };
    const pod = podWith({}, { volumeMounts: [mount] }, [{ name: 'data', emptyDir: {} }]);
    await expect(configOf(pod)).rejects.toThrow('leaves its volume');
  });

  it.each(['etc', '', '/var/../etc', '..'])('refuses the hostPath %j', (path) => {
    expect(() => volumePath(podWith({}), { name: 'host', hostPath: { path } }, folders)).toThrow('must be absolute');
  });
});
