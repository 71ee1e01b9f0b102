import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackgroundChild } from './child.ts';
import { requirePeer } from './find-peer.ts';
import { freePort } from './free-port.ts';

export interface EtcdOptions {
  /** PEM files: TLS, and callers need a certificate of the CA. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly caFile: string };
  /** Default 1. */
  readonly members?: number;
  readonly flags?: readonly string[];
}

interface Member {
  readonly name: string;
  readonly client: string;
  readonly peer: string;
  child: BackgroundChild | undefined;
}

/**
 * A real etcd on loopback, of one member or several. Owns: the processes and their data.
 */
export class Etcd implements AsyncDisposable {
  readonly #folder: string;
  readonly #members: readonly Member[];
  readonly #options: EtcdOptions;

  private constructor(folder: string, members: readonly Member[], options: EtcdOptions) {
    this.#folder = folder;
    this.#members = members;
    this.#options = options;
  }

  static async start(options: EtcdOptions = {}): Promise<Etcd> {
    const folder = await mkdtemp(join(tmpdir(), 'podwire-etcd-'));
    const scheme = options.tls === undefined ? 'http' : 'https';
    const members: Member[] = [];
    for (let at = 0; at < (options.members ?? 1); at += 1) {
      const client = `${scheme}://127.0.0.1:${await freePort()}`;
      members.push({ name: `m${at}`, client, peer: `http://127.0.0.1:${await freePort()}`, child: undefined });
    }
    const etcd = new Etcd(folder, members, options);
    try {
      await Promise.all(members.map((_, at) => etcd.startMember(at)));
      return etcd;
    } catch (error) {
      await etcd[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** URLs for clients, one a member. */
  get servers(): readonly string[] {
    return this.#members.map(({ client }) => client);
  }

  /** Resolves when it serves; after {@link killMember} with the same data. */
  async startMember(at: number): Promise<void> {
    const member = this.#member(at);
    const { tls, flags = [] } = this.#options;
    const { name, client, peer } = member;
    const secure = tls && ['--cert-file', tls.certFile, '--key-file', tls.keyFile];
    const mutual = tls && ['--client-cert-auth', '--trusted-ca-file', tls.caFile];
    member.child = new BackgroundChild(requirePeer('etcd'), [
      `--name=${name}`,
      `--data-dir=${join(this.#folder, name)}`,
      '--logger=zap',
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${this.#members.map((each) => `${each.name}=${each.peer}`).join(',')}`,
      // Elections within a test's patience; the shortest lease is 1.5 of them.
      '--heartbeat-interval=50',
      '--election-timeout=500',
      ...(secure ?? []),
      ...(mutual ?? []),
      ...flags,
    ]);
    await member.child.waitForLog(/serving client traffic/);
  }

  /** Forgets what was before `revision`. By etcd's JSON gateway, so that nothing of ours is trusted. */
  async compact(revision: number): Promise<void> {
    const answer = await fetch(`${this.servers[0]}/v3/kv/compaction`, {
      method: 'POST',
      body: JSON.stringify({ revision, physical: true }),
    });
    if (!answer.ok) throw new Error(`compaction: ${answer.status} ${await answer.text()}`);
  }

  /** All keys, in order, by the same gateway. */
  async keys(): Promise<string[]> {
    // From the lowest key on.
    const everything = Buffer.of(0).toString('base64');
    const answer = await fetch(`${this.servers[0]}/v3/kv/range`, {
      method: 'POST',
      body: JSON.stringify({ key: everything, range_end: everything, keys_only: true }),
    });
    const { kvs = [] } = (await answer.json()) as { kvs?: { key: string }[] };
    return kvs.map(({ key }) => Buffer.from(key, 'base64').toString());
  }

  /** `kill -9`; its data stays. */
  async killMember(at: number): Promise<void> {
    await this.#member(at).child?.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#members.map(async ({ child }) => child?.kill()));
    await rm(this.#folder, { recursive: true, force: true });
  }

  #member(at: number): Member {
    const member = this.#members[at];
    if (member === undefined) throw new RangeError(`there is no member ${at}`);
    return member;
  }
}
