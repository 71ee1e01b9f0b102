import { beforeEach, describe, expect, it } from 'vitest';
import { anonymousUser, authenticatedUser } from '../identity/index.ts';
import { pods } from '../kubeapi/index.ts';
import { MemoryStore } from '../store/index.ts';
import type { ApiObject } from './api-object.ts';
import { type Authorizer, alwaysAllow, attributesOf, firstOpinionOf, refusalText } from './authorization.ts';
import { builtinAuthorizer } from './builtin-authorizer.ts';
import { admitFromNode } from './node-admission.ts';
import { nodeAuthorizer } from './node-authorizer.ts';
import { Registry } from './registry.ts';
import { parseTarget, type ResourceRequest, requestInfoOf } from './request-info.ts';
import { allResources } from './resources.ts';

const admin = authenticatedUser('admin', ['system:masters']);
const bob = authenticatedUser('bob', ['dev']);
const node = authenticatedUser('system:node:n1', ['system:nodes']);

let registry: Registry;
let authorizer: Authorizer;

async function may(user: typeof bob, method: string, target: string): Promise<boolean> {
  const info = attributesOf(requestInfoOf(method, parseTarget(target)));
  return (await authorizer.authorize(user, info)).verdict === 'allow';
}

const podOn = (name: string, nodeName: string): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: { nodeName, containers: [{ name: 'c', image: 'i' }] },
});

beforeEach(async () => {
  registry = new Registry(new MemoryStore(), allResources());
  await registry.createLastingNamespaces();
  await registry.create(pods, podOn('mine', 'n1'));
  await registry.create(pods, podOn('theirs', 'n2'));
  authorizer = firstOpinionOf([builtinAuthorizer, nodeAuthorizer(registry)]);
  return () => registry.close();
});

describe('the built-in rules', () => {
  const ns = '/api/v1/namespaces/default';

  it.each([
    ['GET', '/version'],
    ['GET', '/healthz'],
    ['GET', '/api'],
    ['GET', '/apis/coordination.k8s.io/v1'],
    ['GET', '/openapi/v3/api/v1'],
    ['POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'],
    ['POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews'],
  ])('let everybody who is signed in %s %s', async (method, target) => {
    expect(await may(bob, method, target)).toBe(true);
  });

  it.each([
    ['GET', `${ns}/pods`],
    ['GET', `${ns}/pods/mine/exec`],
    ['POST', `${ns}/pods/mine/exec`],
    ['GET', '/api/v1/nodes'],
    ['GET', '/metrics'],
    ['POST', '/version'],
    ['GET', '/apix'],
    ['POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews'],
    ['POST', '/apis/authentication.k8s.io/v1/tokenreviews'],
  ])('let nobody but masters %s %s', async (method, target) => {
    expect(await may(bob, method, target)).toBe(false);
    expect(await may(anonymousUser, method, target)).toBe(false);
    expect(await may(admin, method, target)).toBe(true);
  });

  it('show strangers health and version alone', async () => {
    expect(await may(anonymousUser, 'GET', '/healthz')).toBe(true);
    expect(await may(anonymousUser, 'GET', '/version')).toBe(true);
    expect(await may(anonymousUser, 'GET', '/api')).toBe(false);
    expect(await may(anonymousUser, 'POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews')).toBe(false);
  });

  it.each([
    ['POST', '/api/v1/nodes', true],
    ['GET', '/api/v1/nodes/n1', true],
    ['PATCH', '/api/v1/nodes/n1/status', true],
    ['GET', '/api/v1/nodes?fieldSelector=metadata.name%3Dn1&watch=true', true],
    ['GET', '/api/v1/nodes', false],
    ['GET', '/api/v1/nodes/n2', false],
    ['PATCH', '/api/v1/nodes/n2/status', false],
    ['DELETE', '/api/v1/nodes/n1', false],
    ['GET', '/api/v1/pods?fieldSelector=spec.nodeName%3Dn1', true],
    ['GET', '/api/v1/pods?fieldSelector=spec.nodeName%3Dn2', false],
    ['GET', '/api/v1/pods?fieldSelector=spec.nodeName%21%3Dn1', false],
    ['GET', '/api/v1/pods', false],
    ['POST', `${ns}/pods`, true],
    ['GET', `${ns}/pods/mine`, true],
    ['PATCH', `${ns}/pods/mine/status`, true],
    ['DELETE', `${ns}/pods/mine`, true],
    ['PATCH', `${ns}/pods/mine`, false],
    ['GET', `${ns}/pods/mine/exec`, false],
    ['POST', `${ns}/pods/mine/exec`, false],
    ['PUT', `${ns}/pods/mine/ephemeralcontainers`, false],
    ['GET', `${ns}/pods/theirs`, false],
    ['PATCH', `${ns}/pods/theirs/status`, false],
    ['DELETE', `${ns}/pods/theirs`, false],
    ['GET', `${ns}/pods/gone`, true],
    ['DELETE', `${ns}/pods`, false],
    ['GET', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1', true],
    ['PUT', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1', true],
    ['PUT', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2', false],
    ['PUT', '/apis/coordination.k8s.io/v1/namespaces/default/leases/n1', false],
    ['POST', '/apis/storage.k8s.io/v1/csinodes', true],
    ['PUT', '/apis/storage.k8s.io/v1/csinodes/n1', true],
    ['GET', '/apis/storage.k8s.io/v1/csinodes/n2', false],
    ['GET', '/api/v1/services', true],
    ['POST', `${ns}/services`, false],
    ['GET', '/apis/node.k8s.io/v1/runtimeclasses', true],
    ['POST', `${ns}/events`, true],
    ['GET', `${ns}/events`, false],
    ['POST', '/apis/authentication.k8s.io/v1/tokenreviews', true],
    ['POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', true],
    ['GET', '/api/v1/namespaces', false],
  ])('let a node %s %s: %s', async (method, target, allowed) => {
    expect(await may(node, method, target)).toBe(allowed);
  });

  it('take no user for a node without its group, nor a group without its name', async () => {
    expect(await may(authenticatedUser('system:node:n1', []), 'GET', '/api/v1/nodes/n1')).toBe(false);
    expect(await may(authenticatedUser('n1', ['system:nodes']), 'GET', '/api/v1/nodes/n1')).toBe(false);
    expect(await may(authenticatedUser('system:node:', ['system:nodes']), 'POST', '/api/v1/nodes')).toBe(false);
  });

  it('say in upstream’s words what was refused', () => {
    const info = attributesOf(requestInfoOf('GET', parseTarget(`${ns}/pods/web/exec`))) as ResourceRequest;
    expect(refusalText(bob, info, '')).toBe(
      'User "bob" cannot create resource "pods/exec" in API group "" in the namespace "default"',
    );
    expect(refusalText(bob, { ...info, namespace: '', subresource: '' }, 'why')).toBe(
      'User "bob" cannot create resource "pods" in API group "" at the cluster scope: why',
    );
  });

  it('are not asked with AlwaysAllow, and a later authorizer is not asked after a first opinion', async () => {
    const info = requestInfoOf('GET', parseTarget('/api/v1/nodes'));
    expect(await alwaysAllow.authorize(bob, info)).toMatchObject({ verdict: 'allow' });
    const deny: Authorizer = { ...alwaysAllow, authorize: async () => ({ verdict: 'deny', reason: 'no' }) };
    expect(await firstOpinionOf([deny, alwaysAllow]).authorize(bob, info)).toEqual({ verdict: 'deny', reason: 'no' });
  });
});

describe('what a node writes', () => {
  const resource = (plural: string) => {
    const found = allResources().find((one) => one.plural === plural);
    if (found === undefined) throw new Error(plural);
    return found;
  };
  const mirror = (nodeName: string, owner = nodeName): ApiObject => ({
    ...podOn('static-n1', nodeName),
    metadata: {
      name: 'static-n1',
      namespace: 'default',
      annotations: { 'kubernetes.io/config.mirror': 'h' },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: owner, uid: 'u', controller: true }],
    },
  });
  const named = (name: string): ApiObject => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } });

  it('is its own node, its own lease, and mirrors of static pods on itself', () => {
    expect(() => admitFromNode(node, { resource: resource('nodes'), next: named('n1') })).not.toThrow();
    expect(() => admitFromNode(node, { resource: resource('nodes'), next: named('n2') })).toThrow(
      /not allowed to write node "n2"/,
    );
    expect(() => admitFromNode(node, { resource: resource('leases'), next: named('n2') })).toThrow(/lease "n2"/);
    expect(() => admitFromNode(node, { resource: resource('pods'), next: mirror('n1') })).not.toThrow();
    expect(() => admitFromNode(node, { resource: resource('pods'), next: mirror('n2') })).toThrow(
      /spec.nodeName set to itself/,
    );
    expect(() => admitFromNode(node, { resource: resource('pods'), next: mirror('n1', 'n2') })).toThrow(
      /an owner reference set to itself/,
    );
    expect(() => admitFromNode(node, { resource: resource('pods'), next: podOn('x', 'n1') })).toThrow(/mirror pods/);
  });

  it('is no label of a pod', () => {
    const current = podOn('mine', 'n1');
    const next = { ...current, metadata: { ...current.metadata, labels: { app: 'stolen' } } };
    const write = { resource: resource('pods'), next, current, scope: 'status' } as const;
    expect(() => admitFromNode(node, write)).toThrow(/cannot update labels through pod status/);
    expect(() => admitFromNode(admin, write)).not.toThrow();
  });
});
