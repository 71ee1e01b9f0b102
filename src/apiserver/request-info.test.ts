import { describe, expect, it } from 'vitest';
import { attributesOf, isConnect } from './authorization.ts';
import { answerFormOf, discoveryFormOf } from './media-negotiation.ts';
import { parseTarget, requestInfoOf } from './request-info.ts';

const infoOf = (method: string, target: string) => requestInfoOf(method, parseTarget(target));

describe('what a request asks for', () => {
  it.each([
    ['GET', '/api/v1/pods', 'list', ' v1 pods   '],
    ['GET', '/api/v1/pods?watch=true', 'watch', ' v1 pods   '],
    ['GET', '/api/v1/pods?watch=0', 'list', ' v1 pods   '],
    ['HEAD', '/api/v1/nodes/n1', 'get', ' v1 nodes  n1 '],
    ['GET', '/api/v1/namespaces/default/pods/web', 'get', ' v1 pods default web '],
    ['GET', '/api/v1/namespaces/default/pods/web/exec', 'get', ' v1 pods default web exec'],
    ['POST', '/api/v1/namespaces/default/pods', 'create', ' v1 pods default  '],
    ['PUT', '/api/v1/namespaces/default/pods/web/status', 'update', ' v1 pods default web status'],
    ['PATCH', '/api/v1/nodes/n1/status', 'patch', ' v1 nodes  n1 status'],
    ['DELETE', '/api/v1/namespaces/default/pods', 'deletecollection', ' v1 pods default  '],
    ['DELETE', '/api/v1/namespaces/x', 'delete', ' v1 namespaces  x '],
    ['PUT', '/api/v1/namespaces/x/finalize', 'update', ' v1 namespaces  x finalize'],
    ['GET', '/api/v1/namespaces', 'list', ' v1 namespaces   '],
    ['GET', '/apis/coordination.k8s.io/v1/namespaces/a/leases/b', 'get', 'coordination.k8s.io v1 leases a b '],
    ['TRACE', '/api/v1/pods', '', ' v1 pods   '],
    ['GET', '/api/v1/namespaces/a/pods/b%3Ac', 'get', ' v1 pods a b:c '],
  ])('%s %s is %s of %j', (method, target, verb, words) => {
    const info = infoOf(method, target);
    if (info.kind !== 'resource') throw new Error('not a resource');
    const { group, version, resource, namespace, name, subresource } = info;
    expect(info.verb).toBe(verb);
    expect([group, version, resource, namespace, name, subresource].join(' ')).toBe(words);
  });

  it.each(['/', '/api', '/api/v1', '/apis', '/apis/apps', '/apis/apps/v1', '/version', '/healthz/ping'])(
    '%s is a path',
    (path) => {
      expect(infoOf('GET', path)).toEqual({ kind: 'path', verb: 'get', path });
    },
  );

  it.each([
    '/api/v1/pods/..',
    '/api/v1/namespaces/a%2Fb/pods',
    '/api/v1/pods/%zz',
    'api/v1',
    'http://x/api/v1/pods',
    '*',
  ])('%s is refused', (target) => {
    expect(() => infoOf('GET', target)).toThrow(expect.objectContaining({ code: 'ERR_BAD_REQUEST' }));
  });

  it('needs create for a streaming subresource, whatever the method', () => {
    for (const subresource of ['exec', 'attach', 'portforward']) {
      const info = infoOf('GET', `/api/v1/namespaces/default/pods/web/${subresource}`);
      expect(isConnect(info)).toBe(true);
      expect(attributesOf(info)).toMatchObject({ verb: 'create' });
    }
    expect(attributesOf(infoOf('GET', '/api/v1/namespaces/default/pods/web/log'))).toMatchObject({ verb: 'get' });
    expect(isConnect(infoOf('GET', '/apis/x/v1/namespaces/default/pods/web/exec'))).toBe(false);
  });
});

describe('the form of an answer', () => {
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';

  it.each([
    ['', { form: 'object' }],
    ['*/*', { form: 'object' }],
    ['application/json', { form: 'object' }],
    [`${table},application/json`, { form: 'table', apiVersion: 'meta.k8s.io/v1' }],
    [`application/json,${table}`, { form: 'object' }],
    ['application/json; as=Table; g=meta.k8s.io; v=v1beta1', { form: 'table', apiVersion: 'meta.k8s.io/v1beta1' }],
    ['application/vnd.kubernetes.protobuf,application/json', { form: 'object' }],
    ['application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json', { form: 'object' }],
  ])('of Accept %j is %j', (accept, form) => {
    expect(answerFormOf(accept)).toEqual(form);
  });

  it.each(['text/html', 'application/vnd.kubernetes.protobuf', 'application/json;as=Table;v=v9;g=meta.k8s.io'])(
    'is refused for Accept %j',
    (accept) => {
      expect(() => answerFormOf(accept)).toThrow(expect.objectContaining({ code: 'ERR_NOT_ACCEPTABLE' }));
    },
  );

  it('of discovery is the newest that a client knows', () => {
    const aggregated = (v: string) => `application/json;g=apidiscovery.k8s.io;v=${v};as=APIGroupDiscoveryList`;
    expect(discoveryFormOf(`${aggregated('v2')},${aggregated('v2beta1')},application/json`)).toBe('v2');
    expect(discoveryFormOf(`${aggregated('v2beta1')},application/json`)).toBe('v2beta1');
    expect(discoveryFormOf(`${aggregated('v3')},application/json`)).toBe('legacy');
    expect(discoveryFormOf('')).toBe('legacy');
  });
});
