import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mustRun } from '../../../test/support/child.ts';
import { networkParts } from '../../../test/support/kernel-remains.ts';
import { PodNetwork, subnetOf } from './network.ts';
import { runTool, toolPath } from './tool.ts';

const isPossible = process.getuid?.() === 0 && PodNetwork.find('/') !== undefined && toolPath('iptables') !== undefined;

describe.skipIf(!isPossible)('a pod’s network is taken down', () => {
  const name = `podwire-test-${process.pid}`;
  const netns = `/run/netns/${name}`;
  let folder: string;
  let network: PodNetwork;
  let record: string;
  let id: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'podwire-network-'));
    record = join(folder, 'network.json');
    id = randomUUID();
    network = PodNetwork.find(folder) as PodNetwork;
    await mustRun('ip', ['netns', 'add', name]);
    await network.connect(id, netns, record, { portMappings: [] });
    expect((await networkParts(subnetOf(folder))).map(({ what }) => what.split(' ')[0])).toEqual(['cable', 'rule']);
  });
  afterEach(async () => {
    await mustRun('ip', ['netns', 'delete', name]);
    rmSync(folder, { recursive: true });
  });

  it('with all its rules when its cable is gone: a container took it, or the plugin was killed half way', async () => {
    await runTool(['ip', '-n', name, 'link', 'delete', 'eth0']);
    await network.disconnect(record);
    expect(await networkParts(subnetOf(folder))).toEqual([]);
  });

  it('with rules that nothing leads to any more', async () => {
    await runTool(['ip', '-n', name, 'link', 'delete', 'eth0']);
    const rules = await runTool(['iptables', '-t', 'nat', '-S', 'POSTROUTING']);
    const address = network.addressesOf(record)[0] ?? '';
    const [, chain = ''] = new RegExp(`^-A POSTROUTING -s ${address}/32 .* -j (\\S+)$`, 'm').exec(rules) ?? [];
    const comment = ['-m', 'comment', '--comment', `name: "podwire" id: "${id}"`];
    await runTool(['iptables', '-t', 'nat', '-D', 'POSTROUTING', '-s', address, ...comment, '-j', chain]);
    expect((await networkParts(subnetOf(folder))).map(({ what }) => what)).toEqual([`chain ${chain}`]);
    await network.disconnect(record);
    expect(await networkParts(subnetOf(folder))).toEqual([]);
  });

  it('once: what has its name afterwards is not touched', async () => {
    await network.disconnect(record);
    expect(await networkParts(subnetOf(folder))).toEqual([]);
    await runTool(['ip', '-n', name, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'far']);
    await network.disconnect(record);
    expect(await runTool(['ip', '-n', name, '-o', 'link', 'show', 'eth0'])).toContain('eth0');
    expect(network.addressesOf(record)).toHaveLength(1);
  });
});
