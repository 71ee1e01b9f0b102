import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ExecPathError } from '../../common/errors.ts';
import { type PodSandboxConfig, Protocol } from '../../cri/index.ts';
import { IdMap } from '../process/index.ts';
import { writeWhole } from '../whole-file.ts';
import { allDone } from './all-done.ts';
import { runTool, TOOL_PATH, toolPath } from './tool.ts';

const PLUGIN_FOLDERS = ['/opt/cni/bin', '/usr/lib/cni', '/usr/libexec/cni'];
const CNI_VERSION = '0.4.0';
const NETWORK_NAME = 'podwire';

const addResult = z.object({ ips: z.array(z.object({ address: z.string() })) });
/** The end of the cable that is on the host has no sandbox. */
const cableResult = z.object({ interfaces: z.array(z.object({ name: z.string(), sandbox: z.string().optional() })) });

/** Since the pod was connected. */
export interface Traffic {
  readonly name: string;
  readonly rxBytes: { readonly value: bigint };
  readonly rxErrors: { readonly value: bigint };
  readonly txBytes: { readonly value: bigint };
  readonly txErrors: { readonly value: bigint };
}

/** What of a pod its network depends on. */
type NetworkConfig = Pick<PodSandboxConfig, 'portMappings'>;

interface Plugin {
  readonly type: string;
  readonly [option: string]: unknown;
}

/** What a pod's network was made with, kept so that it can be taken down by another process of ours. */
const attachment = z.object({
  containerId: z.string(),
  netns: z.string(),
  plugins: z.array(z.looseObject({ type: z.string() })),
  /** Missing while the network is being made. */
  result: z.unknown().optional(),
  isDown: z.boolean().optional(),
});

/** The pods' network, by CNI plugins: a cable from each pod to the host, addresses of 10.x.y.0/24, host ports. */
export class PodNetwork {
  /** Where the plugins are. */
  readonly #plugins: string;
  readonly #addressDir: string;
  readonly #subnet: string;

  private constructor(plugins: string, stateDir: string) {
    this.#plugins = plugins;
    this.#addressDir = join(stateDir, 'cni');
    this.#subnet = `${subnetOf(stateDir)}0/24`;
  }

  /**
   * @returns undefined where the plugins `ptp`, `host-local` and `loopback` are not installed, and in a user namespace,
   *   whose root can lay no cable to the host
   */
  static find(stateDir: string): PodNetwork | undefined {
    if (!IdMap.own().isWhole) return undefined;
    const plugins = PLUGIN_FOLDERS.find((folder) =>
      ['ptp', 'host-local', 'loopback'].every((name) => existsSync(join(folder, name))),
    );
    return plugins === undefined ? undefined : new PodNetwork(plugins, stateDir);
  }

  /** Whether ports of the host can lead to a pod. */
  get mapsPorts(): boolean {
    return toolPath('iptables') !== undefined && existsSync(join(this.#plugins, 'portmap'));
  }

  /**
   * Connects a pod. A failed call leaves nothing behind.
   *
   * @param netns file of its network namespace
   * @param record file to keep for {@link disconnect}
   * @returns its addresses, without prefix length
   * @throws ExecPathError ERR_ISOLATION
   */
  async connect(sandboxId: string, netns: string, record: string, config: NetworkConfig): Promise<string[]> {
    const plugins = this.#chain(config);
    const kept = { containerId: sandboxId, netns, plugins, result: undefined as unknown };
    writeWhole(record, kept);
    try {
      const chain = async (): Promise<void> => {
        for (const plugin of plugins) kept.result = await this.#call('ADD', kept, plugin, kept.result);
      };
      await allDone([this.#call('ADD', kept, { type: 'loopback' }, undefined, 'lo'), chain()]);
      writeWhole(record, kept);
      return addressesIn(addResult.parse(kept.result));
    } catch (thrown) {
      await this.disconnect(record).catch(() => {});
      throw thrown;
    }
  }

  /** What {@link connect} returned. */
  addressesOf(record: string): string[] {
    const kept = attachment.safeParse(readJson(record));
    return kept.success ? addressesIn(kept.data.result) : [];
  }

  /** Takes down what {@link connect} made, as far as it came. Twice is once. */
  async disconnect(record: string): Promise<void> {
    const kept = attachment.safeParse(readJson(record));
    if (!kept.success || kept.data.isDown === true) return;
    for (const plugin of kept.data.plugins.toReversed()) await this.#call('DEL', kept.data, plugin, kept.data.result);
    await dropMasquerade(kept.data.containerId);
    writeWhole(record, { ...kept.data, isDown: true });
  }

  /** What went through the cable of a pod, by the counters of its end on the host: what that received the pod sent. */
  traffic(record: string): Traffic | undefined {
    const kept = attachment.safeParse(readJson(record));
    const made = cableResult.safeParse(kept.data?.result);
    const host = made.data?.interfaces.find(({ sandbox = '' }) => sandbox === '');
    if (host === undefined || !/^[\w.-]+$/.test(host.name)) return undefined;
    const counter = (name: string): { value: bigint } => ({ value: counterOf(host.name, name) });
    const [rxBytes, rxErrors] = [counter('tx_bytes'), counter('tx_errors')];
    return { name: 'eth0', rxBytes, rxErrors, txBytes: counter('rx_bytes'), txErrors: counter('rx_errors') };
  }

  #chain(config: NetworkConfig): Plugin[] {
    const ipam = {
      type: 'host-local',
      dataDir: this.#addressDir,
      ranges: [[{ subnet: this.#subnet }]],
      routes: [{ dst: '0.0.0.0/0' }],
    };
    const hasFirewall = toolPath('iptables') !== undefined;
    const ports = config.portMappings
      .filter(({ hostPort }) => hostPort > 0)
      .map(({ hostPort, containerPort, protocol, hostIp }) => ({
        hostPort,
        containerPort,
        protocol: (Protocol[protocol] ?? 'TCP').toLowerCase(),
        ...(hostIp !== '' && { hostIP: hostIp }),
      }));
    if (ports.length > 0 && !this.mapsPorts) {
      throw new ExecPathError('ERR_ISOLATION', 'host ports need the CNI plugin portmap and iptables on this host');
    }
    return [
      { type: 'ptp', ipMasq: hasFirewall, ipam },
      ...(ports.length === 0
        ? []
        : [{ type: 'portmap', capabilities: { portMappings: true }, runtimeConfig: { portMappings: ports } }]),
    ];
  }

  async #call(
    command: 'ADD' | 'DEL',
    { containerId, netns }: { readonly containerId: string; readonly netns: string },
    plugin: Plugin,
    before: unknown,
    device = 'eth0',
  ): Promise<unknown> {
    const input = {
      cniVersion: CNI_VERSION,
      name: NETWORK_NAME,
      ...plugin,
      ...(before !== undefined && { prevResult: before }),
    };
    const env = {
      PATH: TOOL_PATH,
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: existsSync(netns) ? netns : '',
      CNI_IFNAME: device,
      CNI_PATH: this.#plugins,
    };
    const answer = await runTool([join(this.#plugins, plugin.type)], { env, input: JSON.stringify(input) });
    return answer.trim() === '' ? before : JSON.parse(answer);
  }
}

/**
 * Of the folder's name, so that two runtimes on one machine do not share a subnet.
 *
 * @returns what the addresses of all its pods begin with: `10.x.y.`
 */
export function subnetOf(stateDir: string): string {
  const [second = 0, third = 0] = createHash('sha256').update(stateDir).digest();
  return `10.${100 + (second % 100)}.${third}.`;
}

/**
 * `ptp` finds its rules by the addresses of the pod's end of the cable. Where that is gone already, for a container took
 * it or the plugin was killed half way, they stay; so they are looked for by the name that it gives to the pod's chain.
 */
async function dropMasquerade(containerId: string): Promise<void> {
  if (toolPath('iptables') === undefined) return;
  const digest = createHash('sha512').update(`${NETWORK_NAME}${containerId}`).digest('hex');
  const chain = `CNI-${digest.slice(0, 24)}`;
  const nat = (...args: string[]): Promise<string> => runTool(['iptables', '-w', '-t', 'nat', ...args]);
  const lines = (await nat('-S')).split('\n');
  const comment = ['-m', 'comment', '--comment', `name: "${NETWORK_NAME}" id: "${containerId}"`];
  for (const line of lines) {
    const [, source] = /^-A POSTROUTING -s (\S+) /.exec(line) ?? [];
    if (source === undefined || !line.endsWith(` -j ${chain}`)) continue;
    await nat('-D', 'POSTROUTING', '-s', source, ...comment, '-j', chain);
  }
  if (!lines.includes(`-N ${chain}`)) return;
  await nat('-F', chain);
  await nat('-X', chain);
}

function counterOf(device: string, name: string): bigint {
  try {
    return BigInt(readFileSync(`/sys/class/net/${device}/statistics/${name}`, 'latin1').trim());
  } catch {
    return 0n;
  }
}

function addressesIn(result: unknown): string[] {
  const parsed = addResult.safeParse(result);
  return parsed.success ? parsed.data.ips.map(({ address }) => address.replace(/\/.*$/, '')) : [];
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
