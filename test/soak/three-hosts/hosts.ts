import { chmodSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ChildResult } from '../../support/child.ts';
import { CriCaller } from '../../support/cri-caller.ts';
import { findProgram, requirePeer } from '../../support/find-peer.ts';
import { Host } from '../../support/host.ts';
import { HostNetwork } from '../../support/host-network.ts';
import { imageArchive } from '../../support/image.ts';
import { type PageBlock, readPage } from './page.ts';

const CLONE = resolve(import.meta.dirname, '../../..');
const addresses = { host1: '192.0.2.11', host2: '192.0.2.12', host3: '192.0.2.13' } as const;
export type HostName = keyof typeof addresses;
const names = Object.keys(addresses) as HostName[];

/** What the page takes from the internet, from this machine instead. */
const shims = {
  // The package is made and unpacked as on any machine; what it depends on is that of the clone.
  npm: `#!/bin/bash
set -eu
npm=${findProgram('npm')}
case $1 in
  ci) cd ${CLONE} && test -d node_modules ;;
  pack) npm_config_ignore_scripts=true exec "$npm" "$@" ;;
  install)
    test "$2" = --global
    root=$("$npm" root --global)
    mkdir -p "$root/podwire"
    tar -xf "$3" -C "$root/podwire" --strip-components 1
    ln -s ${CLONE}/node_modules "$root/podwire/node_modules"
    chmod 755 "$root/podwire/dist/cli/main.js"
    ln -s "$root/podwire/dist/cli/main.js" /usr/local/bin/podwire ;;
  *) exec "$npm" "$@" ;;
esac
`,
  'apt-get': `#!/bin/bash
set -eu
test "$1 $2" = 'install --yes'
dpkg --status "\${@:3}" >/dev/null
`,
};

/**
 * Three hosts in a network, as somebody has them before the page: Debian, Node and ssh on each, kubectl and a clone on
 * host1, containerd's package on the others, without its CRI plugin on host3.
 *
 * Owns: the hosts and their network.
 */
export class ThreeHosts implements AsyncDisposable {
  readonly blocks: readonly PageBlock[] = readPage();
  /** Those that have been followed. */
  readonly followed = new Set<PageBlock>();
  readonly #hosts = new Map<string, Host>();
  readonly #network: HostNetwork;

  private constructor(network: HostNetwork) {
    this.#network = network;
  }

  /** @throws Error for a clone that services cannot see: they have a /tmp of their own */
  static async boot(): Promise<ThreeHosts> {
    if (/^\/(var\/)?tmp\//.test(CLONE))
      throw new Error(`${CLONE} is below /tmp, where units with PrivateTmp see nothing`);
    const hosts = new ThreeHosts(await HostNetwork.create());
    try {
      for (const name of names) hosts.#hosts.set(name, await Host.boot(name));
      for (const name of names) await hosts.#prepare(name);
      await hosts.#trustKeys();
      return hosts;
    } catch (error) {
      await hosts[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Types the blocks of a section, in order, each on its hosts.
   *
   * @param conditions for which hosts what a block demands is true
   * @returns what each block said on stdout
   */
  async follow(section: string, conditions: Readonly<Record<string, readonly HostName[]>> = {}): Promise<Said[]> {
    const blocks = this.blocks.filter((block) => block.section === section);
    if (blocks.length === 0) throw new Error(`deploy/README.md has no blocks in ${section}`);
    const said: Said[] = [];
    for (const block of blocks) {
      const on = block.condition === '' ? names : conditions[block.condition];
      if (on === undefined) throw new Error(`nobody says where ${block.condition}`);
      said.push(await this.#type(block, on));
    }
    return said;
  }

  /** One block again. @param words that it alone has */
  async again(words: string): Promise<Said> {
    const [block, ...others] = this.blocks.filter(({ script }) => script.includes(words));
    if (block === undefined || others.length > 0) throw new Error(`not one block with ${words}`);
    return await this.#type(block, names);
  }

  run(name: HostName, script: string, deadlineMs = 60_000): Promise<ChildResult> {
    return this.host(name).run(['bash', '-ec', script], { deadlineMs });
  }

  /** @throws Error with stderr for an exit code other than 0 */
  async must(name: HostName, script: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(name, script);
    if (exitCode === 0) return stdout.toString();
    throw new Error(`${name}: ${script}: ended with ${exitCode}: ${stdout.toString()}${stderr.toString()}`);
  }

  host(name: string): Host {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new Error(`no host ${name}`);
    return host;
  }

  /** Pulls the network cable of a host out, or puts it in again. */
  cable(name: HostName, state: 'up' | 'down'): Promise<void> {
    return this.#network.cable(this.host(name), state);
  }

  /** Gives a containerd the images that it would pull. */
  async importImages(name: HostName): Promise<void> {
    const config = await this.must(name, 'containerd config dump');
    const [, pause = ''] = /sandbox_image = "(.*)"/.exec(config) ?? [];
    const images = { 'docker.io/library/busybox:latest': ['sh'], [pause]: ['sleep', '2147483647'] };
    for (const [image, command] of Object.entries(images)) {
      writeFileSync(this.host(name).path('/root/image.tar'), imageArchive({ names: [image], command }));
      await this.must(name, 'ctr --namespace k8s.io images import /root/image.tar; rm /root/image.tar');
    }
  }

  /** CRI of a host's containerd, as whoever works there without Kubernetes has it. */
  cri(name: HostName): CriCaller {
    return new CriCaller(`unix://${this.host(name).path('/run/containerd/containerd.sock')}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of this.#hosts.values()) await host[Symbol.asyncDispose]();
    await this.#network[Symbol.asyncDispose]();
  }

  async #type(block: PageBlock, on: readonly string[]): Promise<Said> {
    this.followed.add(block);
    const said: Record<string, string> = {};
    for (const name of block.hosts.filter((each) => on.includes(each))) {
      const cd = block.isInClone ? `cd ${CLONE}\n` : '';
      said[name] = await this.must(name as HostName, cd + block.script);
    }
    return said;
  }

  async #prepare(name: HostName): Promise<void> {
    const host = this.host(name);
    await this.#network.connect(host, `${addresses[name]}/24`);
    // What this machine may have of its own of what the page makes.
    const made = '/etc/podwire /etc/cni/net.d /root/.kube /root/.ssh /root/.local/state/podwire /usr/local/bin/podwire';
    await host.must(
      'bash',
      '-ec',
      `rm -rf ${made}; mkdir -p /etc/cni/net.d /root/.ssh; rm -rf "$(npm root -g)/podwire"`,
    );
    for (const [program, script] of Object.entries(shims)) {
      writeFileSync(host.path(`/usr/local/sbin/${program}`), script);
      chmodSync(host.path(`/usr/local/sbin/${program}`), 0o755);
    }
    const programs = { node: process.execPath, kubectl: requirePeer('kubectl'), crictl: requirePeer('crictl') };
    for (const [program, path] of Object.entries(programs)) {
      if (path !== `/usr/local/bin/${program}`) await host.must('ln', '-sf', path, `/usr/local/bin/${program}`);
    }
    await host.must('systemctl', 'start', 'ssh');
    // Not every machine for tests lets root (CAP_SYS_RESOURCE) shield a process from running out of memory.
    const cri = '/^ *\\[plugins."io.containerd.grpc.v1.cri"\\]$/a restrict_oom_score_adj = true';
    await host.must('sed', '-i', cri, '/etc/containerd/config.toml');
    if (name === 'host3') {
      const disabled = 'disabled_plugins = ["io.containerd.grpc.v1.cri"]';
      await host.must('sed', '-i', `1i ${disabled}`, '/etc/containerd/config.toml');
    }
  }

  /** host1 gets into the others. */
  async #trustKeys(): Promise<void> {
    await this.must('host1', "ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519");
    const key = await this.must('host1', 'cat .ssh/id_ed25519.pub');
    await this.must('host1', "printf 'StrictHostKeyChecking accept-new\\nLogLevel ERROR\\n' >.ssh/config");
    for (const name of ['host2', 'host3'] as const) {
      writeFileSync(this.host(name).path('/root/.ssh/authorized_keys'), key, { mode: 0o600 });
    }
  }
}

/** By host. */
export type Said = Readonly<Record<string, string>>;
