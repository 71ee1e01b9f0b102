import { describe, expect, it } from 'vitest';
import { kubeletPath, streamOptionsOf } from './streaming-route.ts';

describe('the options of an exec request', () => {
  it.each([
    ['stdin=1', true],
    ['stdin=true', true],
    ['stdin=', true],
    ['stdin', true],
    ['stdin=TRUE', true],
    ['stdin=0', false],
    ['stdin=false', false],
    ['stdin=False', false],
    ['', false],
  ])('gotcha 69: %j is %s', (query, stdin) => {
    expect(streamOptionsOf(new URLSearchParams(query)).stdin).toBe(stdin);
  });
});

describe('the path at the kubelet', () => {
  const pod = { namespace: 'a b', pod: 'web' };
  it.each([
    [
      'exec',
      'command=ls&command=a%20b&stdin=1&stdout=1&stderr=1&tty=1',
      '/exec/a%20b/web/c?command=ls&command=a+b&error=1&input=1&output=1&tty=1',
    ],
    ['attach', 'command=ls&stdout=true', '/attach/a%20b/web/c?output=1'],
    ['portforward', 'ports=8080&ports=9090', '/portForward/a%20b/web?port=8080%2C9090'],
    ['portforward', '', '/portForward/a%20b/web'],
  ] as const)('of %s with %j is as upstream makes it', (subresource, query, path) => {
    const request = { ...pod, subresource, query: new URLSearchParams(query) };
    expect(kubeletPath(request, { container: 'c' })).toBe(path);
  });

  it.each(['0', '65536', 'http'])('has no port %j', (port) => {
    const request = { ...pod, subresource: 'portforward' as const, query: new URLSearchParams({ ports: port }) };
    expect(() => kubeletPath(request, { container: '' })).toThrow(`port "${port}" is not a number from 1 to 65535`);
  });
});
