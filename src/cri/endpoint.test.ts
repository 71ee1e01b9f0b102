import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CriEndpoint, formatCriEndpoint, parseCriEndpoint } from './endpoint.ts';

describe('parseCriEndpoint', () => {
  it.each([
    'unix:///run/containerd/containerd.sock',
    'unix:/run/containerd/containerd.sock',
    '/run/containerd/containerd.sock',
  ])('reads %s as a socket path', (text) => {
    expect(parseCriEndpoint(text)).toEqual({ kind: 'unix', path: '/run/containerd/containerd.sock' });
  });

  it.each<[string, string, number]>([
    ['tcp://127.0.0.1:1234', '127.0.0.1', 1234],
    ['localhost:0', 'localhost', 0],
    ['node-1.example:65535', 'node-1.example', 65_535],
    ['tcp://[::1]:10350', '::1', 10_350],
    ['[fe80::1]:1', 'fe80::1', 1],
  ])('reads %s as host and port', (text, host, port) => {
    expect(parseCriEndpoint(text)).toEqual({ kind: 'tcp', host, port });
  });

  it.each([
    '',
    'run/containerd.sock',
    'unix://run/containerd.sock',
    'unix://',
    'npipe:////./pipe/containerd',
    'http://127.0.0.1:1',
    'tcp:///run/x.sock',
    '127.0.0.1',
    '127.0.0.1:65536',
    '::1:80',
    '[localhost]:80',
    'host name:80',
    'a:1:2',
    '/nul\0byte',
    '/new\nline',
    '/',
    '//run/x.sock',
  ])('refuses %j and quotes it', (text) => {
    expect(() => parseCriEndpoint(text)).toThrow(
      expect.objectContaining({ code: 'ERR_CRI_ENDPOINT', message: expect.stringContaining(JSON.stringify(text)) }),
    );
  });

  it('takes a socket path of 107 bytes and refuses one of 108, which the kernel would cut', () => {
    const path = `/${'é'.repeat(53)}`;
    expect(parseCriEndpoint(path)).toEqual({ kind: 'unix', path });
    expect(() => parseCriEndpoint(`${path}x`)).toThrow(/108 bytes/);
  });

  it('reads back what formatCriEndpoint writes', () => {
    const endpoint = fc.oneof(
      fc.record({ kind: fc.constant('unix' as const), path: fc.stringMatching(/^\/[!-.0-~][!-~]{0,89}$/) }),
      fc.record({
        kind: fc.constant('tcp' as const),
        host: fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()),
        port: fc.nat(65_535),
      }),
    );
    fc.assert(
      fc.property(endpoint, (value: CriEndpoint) => {
        expect(parseCriEndpoint(formatCriEndpoint(value))).toEqual(value);
      }),
    );
  });
});
