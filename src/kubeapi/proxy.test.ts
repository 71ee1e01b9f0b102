import { describe, expect, it } from 'vitest';
import { ExecPathError } from '../common/errors.ts';
import { hostPort } from './host-port.ts';
import { proxyFor } from './proxy.ts';

const chosen = (target: string, env: NodeJS.ProcessEnv, configured?: URL): string | undefined =>
  proxyFor(new URL(target), configured, env)?.href;

describe('the choice of a proxy', () => {
  it('goes by the scheme of the target, in capitals first', () => {
    const env = { HTTPS_PROXY: 'http://s:1', https_proxy: 'http://lower:1', http_proxy: 'plain:2' };
    expect(chosen('https://a.example', env)).toBe('http://s:1/');
    expect(chosen('wss://a.example', env)).toBe('http://s:1/');
    expect(chosen('http://a.example', env)).toBe('http://plain:2/');
    expect(chosen('https://a.example', {})).toBeUndefined();
  });

  it('always takes the proxy-url of the kubeconfig', () => {
    const configured = new URL('socks5://p:1');
    expect(chosen('https://127.0.0.1', { NO_PROXY: '*' }, configured)).toBe('socks5://p:1');
  });

  it('never goes through the environment to loopback', () => {
    for (const host of ['localhost', '127.0.0.1', '127.8.9.1', '[::1]']) {
      expect(chosen(`https://${host}:6443`, { HTTPS_PROXY: 'p:1' })).toBeUndefined();
    }
  });

  it('refuses a variable that holds no proxy', () => {
    expect(() => chosen('https://a.example', { HTTPS_PROXY: 'ftp://p' })).toThrow(ExecPathError);
    expect(() => chosen('https://a.example', { HTTPS_PROXY: 'http://' })).toThrow('HTTPS_PROXY is not a proxy URL');
  });

  it.each<[noProxy: string, target: string, isExempt: boolean]>([
    ['*', 'https://a.example', true],
    ['a.example', 'https://a.example', true],
    ['A.Example', 'https://a.example.', true],
    ['example', 'https://a.example', true],
    ['xample', 'https://a.example', false],
    ['.a.example', 'https://a.example', false],
    ['.a.example', 'https://b.a.example', true],
    ['*.a.example', 'https://b.a.example', true],
    ['b.example , a.example', 'https://a.example', true],
    ['a.example:6443', 'https://a.example:6443', true],
    ['a.example:6443', 'https://a.example', false],
    ['10.0.0.1', 'https://10.0.0.1:6443', true],
    ['10.0.0.1:443', 'https://10.0.0.1:6443', false],
    ['10.0.0.0/8', 'https://10.200.0.1', true],
    ['10.0.0.0/8', 'https://11.0.0.1', false],
    ['10.0.0.0/99', 'https://10.0.0.1', false],
    ['10.0.0.0/8', 'https://ten.example', false],
    ['fd00::/8', 'https://[fd12::1]:6443', true],
    ['fd00::1', 'https://[fd00::1]:6443', true],
    ['[fd00::1]:6443', 'https://[fd00::1]:6443', true],
    ['[fd00::1]:1', 'https://[fd00::1]:6443', false],
    ['', 'https://a.example', false],
    [' , ', 'https://a.example', false],
  ])('NO_PROXY %j and %s: exempt is %s', (noProxy, target, isExempt) => {
    expect(chosen(target, { HTTPS_PROXY: 'p:1', NO_PROXY: noProxy }) === undefined).toBe(isExempt);
  });

  it('names hosts with their ports', () => {
    expect(hostPort(new URL('https://[::1]'))).toBe('[::1]:443');
    expect(hostPort(new URL('socks5://p'))).toBe('p:1080');
    expect(hostPort(new URL('ws://a'))).toBe('a:80');
  });
});
