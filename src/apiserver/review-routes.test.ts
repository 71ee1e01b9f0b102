import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiWorld, testTokens } from '../../test/support/api-world.ts';

let world: ApiWorld;

beforeAll(async () => {
  world = await ApiWorld.start();
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

describe('reviews', () => {
  const review = (group: string, plural: string, body: unknown, token: string = testTokens.bob) =>
    world.call(`/apis/${group}.k8s.io/v1/${plural}`, { method: 'POST', body, token });

  it('say who one is', async () => {
    expect(await review('authentication', 'selfsubjectreviews', {})).toMatchObject({
      status: 201,
      json: {
        kind: 'SelfSubjectReview',
        status: { userInfo: { username: 'bob', uid: '2', groups: ['dev', 'ops', 'system:authenticated'] } },
      },
    });
  });

  it('say what one may do', async () => {
    const spec = {
      resourceAttributes: { verb: 'create', resource: 'pods', subresource: 'exec', namespace: 'default' },
    };
    const mine = await review('authorization', 'selfsubjectaccessreviews', { spec });
    expect(mine.json).toMatchObject({ status: { allowed: false }, spec });
    const admin = await review('authorization', 'selfsubjectaccessreviews', { spec }, testTokens.admin);
    expect(admin.json).toMatchObject({ status: { allowed: true } });
    const path = await review('authorization', 'selfsubjectaccessreviews', {
      spec: { nonResourceAttributes: { verb: 'get', path: '/api' } },
    });
    expect(path.json).toMatchObject({ status: { allowed: true } });
    expect(await review('authorization', 'selfsubjectaccessreviews', { spec: {} })).toMatchObject({ status: 400 });
  });

  it('let a kubelet ask whose a token is and what that one may do', async () => {
    const known = await review('authentication', 'tokenreviews', { spec: { token: testTokens.bob } }, testTokens.node1);
    expect(known.json).toMatchObject({
      status: { authenticated: true, user: { username: 'bob', groups: ['dev', 'ops', 'system:authenticated'] } },
    });
    expect(known.text).not.toContain(testTokens.bob);
    const unknown = await review('authentication', 'tokenreviews', { spec: { token: 'x' } }, testTokens.node1);
    expect((unknown.json as { readonly status: unknown }).status).toEqual({});
    const resourceAttributes = { verb: 'create', resource: 'nodes', subresource: 'proxy', name: 'n1' };
    const ask = (user: string, groups: string[]) =>
      review('authorization', 'subjectaccessreviews', { spec: { user, groups, resourceAttributes } }, testTokens.node1);
    expect((await ask('kubelet-client', ['system:masters'])).json).toMatchObject({ status: { allowed: true } });
    expect((await ask('bob', ['dev'])).json).toMatchObject({ status: { allowed: false } });
    expect(await review('authentication', 'tokenreviews', { spec: { token: 'x' } })).toMatchObject({ status: 403 });
  });
});

describe('impersonation', () => {
  it('acts as somebody else for those who may', async () => {
    const as = {
      'Impersonate-User': 'carol',
      'Impersonate-Group': ['a', 'b, c'],
      'Impersonate-Extra-scopes%2fx': ['1', '2'],
    };
    const { json } = await world.call('/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      method: 'POST',
      body: {},
      headers: as,
    });
    expect(json).toMatchObject({
      status: {
        userInfo: {
          username: 'carol',
          groups: ['a', 'b, c', 'system:authenticated'],
          extra: { 'scopes/x': ['1', '2'] },
        },
      },
    });
    expect(
      await world.call('/api/v1/namespaces/default/pods', { headers: { 'Impersonate-User': 'carol' } }),
    ).toMatchObject({
      status: 403,
      json: {
        message:
          'pods is forbidden: User "carol" cannot list resource "pods" in API group "" in the namespace "default"',
      },
    });
  });

  it('is refused to others, and without a user', async () => {
    const asAdmin = { 'Impersonate-User': 'x', 'Impersonate-Group': 'system:masters' };
    expect(
      await world.call('/api/v1/namespaces/default/pods', { headers: asAdmin, token: testTokens.bob }),
    ).toMatchObject({
      status: 403,
      json: {
        message:
          'users "x" is forbidden: User "bob" cannot impersonate resource "users" in API group "" at the cluster scope',
      },
    });
    expect(
      await world.call('/api/v1/namespaces/default/pods', { headers: { 'Impersonate-Group': 'g' } }),
    ).toMatchObject({ status: 400 });
    expect(
      await world.call('/api/v1/namespaces/default/pods', {
        headers: { 'Impersonate-User': 'x', 'Impersonate-Foo': 'g' },
      }),
    ).toMatchObject({
      status: 400,
    });
  });
});
