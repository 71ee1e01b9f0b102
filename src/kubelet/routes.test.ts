import { describe, expect, it } from 'vitest';
import { parseRoute } from './routes.ts';

describe('the kubelet paths', () => {
  it.each([
    ['/exec/ns/p/c', { kind: 'exec', namespace: 'ns', pod: 'p', uid: undefined, container: 'c' }],
    ['/exec/ns/p/u/c', { kind: 'exec', namespace: 'ns', pod: 'p', uid: 'u', container: 'c' }],
    ['/exec/n%20s/p/c', { kind: 'exec', namespace: 'n s', pod: 'p', uid: undefined, container: 'c' }],
    ['/run/ns/p/c', { kind: 'run', namespace: 'ns', pod: 'p', uid: undefined, container: 'c' }],
    ['/portForward/ns/p', { kind: 'portForward', namespace: 'ns', pod: 'p', uid: undefined }],
    ['/containerLogs/ns/p/c', { kind: 'containerLogs', namespace: 'ns', pod: 'p', container: 'c' }],
    ['/pods', { kind: 'pods' }],
    ['/pods/', { kind: 'pods' }],
    ['/runningpods/', { kind: 'runningpods' }],
    ['/healthz', { kind: 'healthz' }],
    ['/healthz/syncloop', { kind: 'healthz' }],
  ])('%s is served', (path, route) => {
    expect(parseRoute(path)).toEqual(route);
  });

  it.each([
    '/',
    '/exec',
    '/exec/ns/p',
    '/exec/ns/p/u/c/x',
    '/exec//p/c',
    '/exec/ns/p/%zz',
    '/portforward/ns/p',
    '/pods/x',
    '/nope',
  ])('%s is not', (path) => {
    expect(parseRoute(path)).toBeUndefined();
  });
});
