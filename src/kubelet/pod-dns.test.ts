import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Pod } from '../kubeapi/index.ts';
import { type DnsSettings, type PodDns, podDns } from './pod-dns.ts';

let folder: string;
let resolvConf: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-dns-'));
  resolvConf = join(folder, 'resolv.conf');
  writeFileSync(resolvConf, 'nameserver 192.0.2.53\nsearch corp.test\noptions ndots:2 rotate\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function dnsOf(spec: Partial<Pod['spec']>, settings: DnsSettings = {}, hostIP = '192.0.2.1'): Promise<PodDns> {
  const metadata = { name: 'web', namespace: 'shop', uid: 'u-1' };
  return podDns({ metadata, spec: { containers: [], ...spec } }, { resolvConf, ...settings }, hostIP);
}

const cluster = { clusterDns: ['10.96.0.10'], clusterDomain: 'cluster.local' };
const node = { servers: ['192.0.2.53'], searches: ['corp.test'], options: ['ndots:2', 'rotate'] };
const ofCluster = {
  servers: ['10.96.0.10'],
  searches: ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'corp.test'],
  options: ['ndots:5'],
};

// Facts: kubernetes pkg/kubelet/network/dns/dns_test.go
describe('whom a pod asks for names', () => {
  it.each([
    ['the cluster when it says nothing', {}, cluster, ofCluster],
    ['the cluster', { dnsPolicy: 'ClusterFirst' }, cluster, ofCluster],
    ['the node on its network', { dnsPolicy: 'ClusterFirst', hostNetwork: true }, cluster, node],
    ['the cluster there too', { dnsPolicy: 'ClusterFirstWithHostNet', hostNetwork: true }, cluster, ofCluster],
    ['the node', { dnsPolicy: 'Default' }, cluster, node],
    ['the node where there is no cluster DNS', { dnsPolicy: 'ClusterFirst' }, {}, node],
    [
      'the cluster, without a domain of its own',
      {},
      { clusterDns: ['10.96.0.10'] },
      { ...ofCluster, searches: ['corp.test'] },
    ],
    [
      'whom it names alone',
      { dnsPolicy: 'None', dnsConfig: { nameservers: ['192.0.2.9'], searches: ['a.test'] } },
      cluster,
      { servers: ['192.0.2.9'], searches: ['a.test'], options: [] },
    ],
    [
      'whom it names beside the others, once each',
      {
        dnsConfig: {
          nameservers: ['10.96.0.10', '192.0.2.9'],
          searches: ['corp.test', 'a.test'],
          options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }],
        },
      },
      cluster,
      {
        servers: ['10.96.0.10', '192.0.2.9'],
        searches: [...ofCluster.searches, 'a.test'],
        options: ['ndots:2', 'edns0'],
      },
    ],
    [
      'nobody where the node has no configuration',
      { dnsPolicy: 'Default' },
      { resolvConf: '' },
      { servers: ['127.0.0.1'], searches: ['.'], options: [] },
    ],
  ] as const)('is %s', async (_who, spec, settings, config) => {
    expect(await dnsOf(spec as Partial<Pod['spec']>, settings)).toEqual({ config, warnings: [] });
  });

  it('is left to the runtime when it is whom the machine asks', async () => {
    const machine = { resolvConf: '/etc/resolv.conf' };
    expect(await dnsOf({}, machine)).toEqual({ config: undefined, warnings: [] });
    expect(await dnsOf({ dnsPolicy: 'Default' }, { ...cluster, ...machine })).toMatchObject({ config: undefined });
    const dnsConfig = { nameservers: ['192.0.2.9'] };
    expect((await dnsOf({ dnsPolicy: 'None', dnsConfig }, machine)).config?.servers).toEqual(['192.0.2.9']);
    expect((await dnsOf({}, { ...cluster, ...machine })).config?.servers).toEqual(cluster.clusterDns);
  });

  it('is told when a pod wants the cluster on the node’s network and there is none', async () => {
    const { config, warnings } = await dnsOf({ dnsPolicy: 'ClusterFirstWithHostNet', hostNetwork: true });
    expect([config, warnings.map(({ reason }) => reason)]).toEqual([node, ['MissingClusterDNS']]);
  });

  it('is the node by the address of its kind', async () => {
    const { config } = await dnsOf({ dnsPolicy: 'Default' }, { resolvConf: '' }, 'fd00::1');
    expect(config?.servers).toEqual(['::1']);
  });

  it('names the file that cannot be read, and only when it is needed', async () => {
    const missing = join(folder, 'none');
    await expect(dnsOf({}, { ...cluster, resolvConf: missing })).rejects.toThrow(`resolver configuration ${missing}: `);
    const dnsConfig = { nameservers: ['192.0.2.9'] };
    await expect(dnsOf({ dnsPolicy: 'None', dnsConfig }, { resolvConf: missing })).resolves.toBeDefined();
  });
});

describe('more than resolvers take', () => {
  const textsOf = ({ warnings }: PodDns): readonly string[] =>
    warnings.map(({ reason, message }) => `${reason}: ${message}`);

  it('of servers is left out, and told', async () => {
    const nameservers = ['192.0.2.7', '192.0.2.8', '192.0.2.9'];
    const dns = await dnsOf({ dnsConfig: { nameservers } }, cluster);
    expect(dns.config?.servers).toEqual(['10.96.0.10', '192.0.2.7', '192.0.2.8']);
    expect(textsOf(dns)).toEqual([
      'DNSConfigForming: Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 10.96.0.10 192.0.2.7 192.0.2.8',
    ]);
  });

  it.each([
    ['domains', Array.from({ length: 33 }, (_, at) => `d${at}.test`), 32],
    ['characters', Array.from({ length: 10 }, (_, at) => `${at}${'x'.repeat(247)}.test`), 8],
    ['a domain', [`${'x'.repeat(250)}.test`, 'a.test'], 1],
  ])('of %s is left out, and told', async (_what, searches, count) => {
    const dns = await dnsOf({ dnsPolicy: 'None', dnsConfig: { nameservers: ['192.0.2.9'], searches } });
    expect(dns.config?.searches.length).toBe(count);
    expect(textsOf(dns)).toEqual([
      `DNSConfigForming: Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${dns.config?.searches.join(' ')}`,
    ]);
  });
});
