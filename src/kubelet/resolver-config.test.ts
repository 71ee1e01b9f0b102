import { describe, expect, it } from 'vitest';
import { parseResolver } from './resolver-config.ts';

// Facts: kubernetes pkg/kubelet/network/dns/dns_test.go, resolv.conf(5)
describe('a resolver configuration', () => {
  it.each([
    ['adds servers up', 'nameserver 192.0.2.1\n nameserver\t192.0.2.2 # two', { servers: ['192.0.2.1', '192.0.2.2'] }],
    ['takes the last search line', 'search a.test b.test\nsearch c.test', { searches: ['c.test'] }],
    ['has domains without the dot behind them', 'search a.test. . b.test', { searches: ['a.test', 'b.test'] }],
    [
      'takes the last of each option',
      'options ndots:1 rotate\noptions ndots:3 ndots:5',
      { options: ['ndots:5', 'rotate'] },
    ],
    ['leaves out what is said beside', '# nameserver 192.0.2.1\n; search a.test\nsortlist x\n\n', {}],
  ])('%s', (_how, text, expected) => {
    expect(parseResolver(text)).toEqual({ servers: [], searches: [], options: [], ...expected });
  });

  it('is refused with a server that has no address', () => {
    expect(() => parseResolver('nameserver\n')).toThrow('a nameserver line without an address');
  });
});
