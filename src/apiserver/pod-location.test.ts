import { beforeEach, describe, expect, it } from 'vitest';
import { nodes, pods } from '../kubeapi/index.ts';
import { MemoryStore } from '../store/index.ts';
import type { ApiObject } from './api-object.ts';
import { findPodLocation, type LocationTarget } from './pod-location.ts';
import { Registry } from './registry.ts';
import { allResources } from './resources.ts';

let registry: Registry;

const container = (name: string) => ({ name, image: 'busybox' });

function pod(spec: object): ApiObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default' },
    spec: { nodeName: 'n1', containers: [container('a')], ...spec },
  };
}

function node(status: object): ApiObject {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, status };
}

const addresses = [
  { type: 'ExternalIP', address: '192.0.2.1' },
  { type: 'InternalIP', address: '10.0.0.1' },
];

function find(more: Partial<LocationTarget> = {}, options = {}) {
  return findPodLocation(registry, { namespace: 'default', pod: 'web', subresource: 'exec', ...more }, options);
}

/** Ephemeral containers come to a pod that is there. */
async function createWithEphemeral(spec: object, ephemeral: string): Promise<void> {
  await registry.create(pods, pod(spec));
  await registry.update(
    pods,
    { namespace: 'default', name: 'web' },
    (current) => ({
      ...current,
      spec: { ...(current['spec'] as object), ephemeralContainers: [container(ephemeral)] },
    }),
    { scope: 'ephemeralContainers' },
  );
}

beforeEach(async () => {
  registry = new Registry(new MemoryStore(), allResources());
  await registry.createLastingNamespaces();
  return () => registry.close();
});

describe('the location of a pod', () => {
  it('is the node’s first preferred address and its kubelet’s own port', async () => {
    await registry.create(pods, pod({}));
    await registry.create(nodes, node({ addresses, daemonEndpoints: { kubeletEndpoint: { Port: 4444 } } }));
    expect(await find()).toMatchObject({
      scheme: 'https',
      host: '10.0.0.1',
      port: 4444,
      authority: '10.0.0.1:4444',
      node: 'n1',
      container: 'a',
      nodeDeclaresWebSocketPassThrough: false,
    });
    expect(await find({}, { preferredAddressTypes: ['ExternalIP'] })).toMatchObject({ host: '192.0.2.1' });
  });

  it('has the default port when the node names none, and brackets around IPv6', async () => {
    await registry.create(pods, pod({}));
    const declaredFeatures = ['ExtendWebSocketsToKubelet'];
    await registry.create(nodes, node({ addresses: [{ type: 'InternalIP', address: 'fd00::1' }], declaredFeatures }));
    expect(await find()).toMatchObject({
      host: 'fd00::1',
      authority: '[fd00::1]:10250',
      nodeDeclaresWebSocketPassThrough: true,
    });
    expect(await find({}, { kubeletPort: 99 })).toMatchObject({ port: 99 });
  });

  it('takes a regular, init or ephemeral container by name, and the only regular one without', async () => {
    await createWithEphemeral({ initContainers: [container('i')] }, 'e');
    await registry.create(nodes, node({ addresses }));
    for (const name of ['a', 'i', 'e']) expect(await find({ container: name })).toMatchObject({ container: name });
    expect(await find({ container: '' })).toMatchObject({ container: 'a' });
    await expect(find({ container: 'x' })).rejects.toMatchObject({
      code: 'ERR_BAD_REQUEST',
      message: 'container x is not valid for pod web',
    });
  });

  it('asks for a container among several, but not for port-forward', async () => {
    const containers = [container('a'), container('b')];
    await createWithEphemeral({ initContainers: [container('i')], containers }, 'e');
    await registry.create(nodes, node({ addresses }));
    await expect(find()).rejects.toMatchObject({
      code: 'ERR_BAD_REQUEST',
      message: 'a container name must be specified for pod web, choose one of: [i a b e]',
    });
    expect(await find({ subresource: 'portforward' })).toMatchObject({ container: '' });
  });

  it('checks pod, container, host, node and address in this order, in upstream’s words', async () => {
    await expect(find()).rejects.toMatchObject({ code: 'ERR_NOT_FOUND', message: 'pods "web" not found' });
    await registry.create(pods, pod({ nodeName: '' }));
    await expect(find({ container: 'x' })).rejects.toMatchObject({ message: 'container x is not valid for pod web' });
    await expect(find()).rejects.toMatchObject({
      code: 'ERR_BAD_REQUEST',
      message: 'pod web does not have a host assigned',
    });
    await registry.delete(pods, { namespace: 'default', name: 'web' });
    await registry.create(pods, pod({}));
    await expect(find()).rejects.toMatchObject({ code: 'ERR_NOT_FOUND', message: 'pods "n1" not found' });
    await registry.create(nodes, node({ addresses }));
    await expect(find({}, { preferredAddressTypes: ['Hostname'] })).rejects.toMatchObject({
      code: 'ERR_NO_NODE_ADDRESS',
      message: 'no preferred addresses found; known addresses: [{ExternalIP 192.0.2.1} {InternalIP 10.0.0.1}]',
    });
  });
});
