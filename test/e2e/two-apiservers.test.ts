import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  createTransport,
  events,
  KubeClient,
  leases,
  loadClientConfig,
  nodes,
  type Pod,
  pods,
} from '../../src/kubeapi/index.ts';
import { type ChildResult, runChild } from '../support/child.ts';
import { Etcd } from '../support/etcd.ts';
import { freePort } from '../support/free-port.ts';
import { Haproxy } from '../support/haproxy.ts';
import { describeWithPeer } from '../support/peer.ts';
import { type HopCommand, PodwireHop, podwireArgv } from '../support/podwire.ts';

// Two apiservers on one etcd with one folder of certificates; haproxy leads the kubelet to the first, or to the second
// when the first is gone. Needs `npm run build`.

const NAMESPACE = 'default';
const patience = { timeout: 30_000, interval: 100 };

let folder: string;
let etcd: Etcd;
let ports: readonly number[];
const apiservers: (PodwireHop | undefined)[] = [];
const clients: KubeClient[] = [];
const stops: (() => Promise<unknown>)[] = [];

async function start(command: HopCommand, ...flags: string[]): Promise<PodwireHop> {
  const hop = await PodwireHop.start(command, flags);
  stops.push(() => hop.stop());
  return hop;
}

async function startApiserver(which: number): Promise<void> {
  apiservers[which] = await start(
    'apiserver',
    `--secure-port=${ports[which]}`,
    `--cert-dir=${join(folder, 'pki')}`,
    `--etcd-servers=${etcd.servers.join(',')}`,
    '--kubelet-preferred-address-types=InternalIP',
  );
}

/** The administrator's kubeconfig, for whoever listens on `port`. @returns its path */
function kubeconfigFor(port: number): string {
  const path = join(folder, `${port}.kubeconfig`);
  const text = readFileSync(join(folder, 'pki', 'kubeconfig'), 'utf8');
  writeFileSync(path, text.replace(/https:\/\/127\.0\.0\.1:\d+/, `https://127.0.0.1:${port}`), { mode: 0o600 });
  return path;
}

const portOf = (which: number): number => ports[which] ?? 0;

function clientOf(which: number): KubeClient {
  const client = clients[which];
  if (client === undefined) throw new RangeError(`there is no apiserver ${which}`);
  return client;
}

function execArgv(which: number, pod: string, ...argv: string[]): string[] {
  return podwireArgv('exec', '--kubeconfig', kubeconfigFor(portOf(which)), '--stdin', pod, '--', ...argv);
}

function exec(which: number, pod: string, ...argv: string[]): Promise<ChildResult> {
  const [node = '', ...args] = execArgv(which, pod, ...argv);
  return runChild(node, args);
}

/** Without a node: whichever apiserver is first gives it one. */
const podNamed = (name: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    hostNetwork: true,
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'main', image: 'podwire.local/host', command: ['sleep', '100000'] }],
  },
});

async function untilRunning(which: number, name: string): Promise<void> {
  const phase = async (): Promise<string | undefined> =>
    (await clientOf(which).get(pods, name, { namespace: NAMESPACE })).status?.phase;
  await expect.poll(phase, patience).toBe('Running');
}

/** An exec that stays open while a test does something else. */
class OpenExec {
  /** Rejects never: without an end the test's deadline tells. */
  readonly ended: Promise<{ readonly exitCode: number | null; readonly stdout: string }>;
  readonly #stdin = new PassThrough();
  #stdout = '';

  constructor(which: number, pod: string, script: string) {
    const [node = '', ...args] = execArgv(which, pod, 'sh', '-c', script);
    const onStdout = (chunk: Buffer): void => {
      this.#stdout += chunk.toString();
    };
    this.ended = runChild(node, args, { stdin: this.#stdin, onStdout }).then(({ exitCode }) => ({
      exitCode,
      stdout: this.#stdout,
    }));
  }

  async waitFor(text: string): Promise<void> {
    await expect.poll(() => this.#stdout, patience).toContain(text);
  }

  say(text: string): void {
    this.#stdin.end(text);
  }
}

/** Writers that each keep an object of their own, through one apiserver. */
class Writers {
  /** Revisions of what was confirmed. */
  readonly confirmed: number[] = [];
  /** The newest of them, by the name of the object. */
  readonly newest = new Map<string, number>();
  readonly #client: KubeClient;
  readonly #done: Promise<unknown>;
  #isOver = false;

  constructor(client: KubeClient, name: string) {
    this.#client = client;
    this.#done = Promise.all([0, 1, 2].map((at) => this.#write(`${name}-${at}`)));
  }

  /** Waits until so many more are confirmed. */
  async until(more: number): Promise<void> {
    const wanted = this.confirmed.length + more;
    await expect.poll(() => this.confirmed.length, { timeout: 30_000, interval: 5 }).toBeGreaterThanOrEqual(wanted);
  }

  /** Waits until nothing is under way. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  /** Ends at the first failure: when the apiserver is killed. */
  async #write(name: string): Promise<void> {
    const options = { namespace: NAMESPACE };
    try {
      let lease = await this.#client.create(leases, { metadata: { name }, spec: {} }, options);
      for (let n = 0; ; n += 1) {
        const revision = Number(lease.metadata.resourceVersion);
        this.confirmed.push(revision);
        this.newest.set(name, revision);
        if (this.#isOver) return;
        lease = await this.#client.update(leases, { ...lease, spec: { leaseTransitions: n } }, options);
      }
    } catch {
      // What was under way may have been done or not.
    }
  }
}

/** Reads a watch of leases into `seen` until it ends, breaks, or has come to what `isEnough` waits for. */
async function follow(client: KubeClient, from: string, seen: number[], isEnough = () => false): Promise<void> {
  try {
    for await (const event of client.watch(leases, { namespace: NAMESPACE, resourceVersion: from })) {
      const revision = Number(event.object.metadata.resourceVersion);
      if (event.type !== 'BOOKMARK') seen.push(revision);
      if (isEnough()) return;
    }
  } catch {
    // The apiserver is gone.
  }
}

describeWithPeer(['etcd', 'haproxy'], 'two apiservers on one etcd', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'podwire-two-apiservers-'));
    etcd = await Etcd.start();
    ports = [await freePort(), await freePort()];
    for (const which of [0, 1]) {
      await startApiserver(which);
      const config = await loadClientConfig({ kubeconfig: kubeconfigFor(portOf(which)) });
      clients[which] = new KubeClient(createTransport(config));
    }
    const haproxy = await Haproxy.start({ target: ports.map((port) => ({ host: '127.0.0.1', port })) });
    stops.push(() => haproxy[Symbol.asyncDispose]());
    const runtime = await start('runtime', '--state-dir', join(folder, 'runtime'));
    await start(
      'kubelet',
      `--container-runtime-endpoint=${runtime.address}`,
      `--root-dir=${join(folder, 'kubelet')}`,
      '--port=0',
      '--healthz-port=0',
      '--hostname-override=n1',
      '--node-ip=127.0.0.1',
      `--kubeconfig=${kubeconfigFor(haproxy.port)}`,
      `--client-ca-file=${join(folder, 'pki', 'ca', 'ca.crt')}`,
    );
  }, 120_000);
  afterAll(async () => {
    for (const client of clients) client.close();
    for (const stop of stops.splice(0).toReversed()) await stop();
    await etcd[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  it('serve one kubelet, and place each pod once', async () => {
    await clientOf(1).create(pods, podNamed('web'), { namespace: NAMESPACE });
    await untilRunning(0, 'web');
    for (const which of [0, 1]) {
      const { exitCode, stdout, stderr } = await exec(which, 'web', 'echo', 'hello');
      expect([exitCode, stdout.toString(), stderr.toString()]).toEqual([0, 'hello\n', '']);
    }
    const { items } = await clientOf(0).list(events, { namespace: NAMESPACE });
    const placed = items.filter(
      ({ reason, involvedObject }) => reason === 'Scheduled' && involvedObject.name === 'web',
    );
    expect(placed.map(({ count }) => count)).toEqual([1]);
  });

  it('lose nothing when one is killed among writes, and the other goes on at once', async () => {
    const [first, second] = [clientOf(0), clientOf(1)];
    const { metadata } = await second.list(leases, { namespace: NAMESPACE });
    const { resourceVersion = '' } = metadata;
    const [seenByFirst, seenBySecond]: [number[], number[]] = [[], []];
    const survivor = new OpenExec(1, 'web', 'echo started; read line; echo "got $line"; exit 7');
    const lost = new OpenExec(0, 'web', 'echo started; exec sleep 100000');
    await Promise.all([survivor.waitFor('started'), lost.waitFor('started')]);

    const [throughFirst, throughSecond] = [new Writers(first, 'first'), new Writers(second, 'second')];
    let newest = Number.POSITIVE_INFINITY;
    const following = Promise.all([
      follow(first, resourceVersion, seenByFirst),
      follow(second, resourceVersion, seenBySecond, () => (seenBySecond.at(-1) ?? 0) >= newest),
    ]);
    await Promise.all([throughFirst.until(60), throughSecond.until(60)]);
    await apiservers[0]?.kill();
    // At once, while writes go on: the exec that was open lives, and a new one works.
    const fresh = await exec(1, 'web', 'echo', 'fresh');
    expect([fresh.exitCode, fresh.stdout.toString(), fresh.stderr.toString()]).toEqual([0, 'fresh\n', '']);
    survivor.say('more\n');
    expect(await survivor.ended).toEqual({ exitCode: 7, stdout: 'started\ngot more\n' });
    expect(await lost.ended).toEqual({ exitCode: 125, stdout: 'started\n' });
    await throughSecond.until(20);
    await Promise.all([throughFirst.end(), throughSecond.end()]);
    const after = await second.list(leases, { namespace: NAMESPACE });
    newest = Math.max(...after.items.map((lease) => Number(lease.metadata.resourceVersion)));
    // So that the watch comes by even when it has seen them all.
    await second.create(leases, { metadata: { name: 'last' } }, { namespace: NAMESPACE });
    await following;

    const confirmed = [...throughFirst.confirmed, ...throughSecond.confirmed].sort((one, other) => one - other);
    expect(seenBySecond).toEqual([...new Set(seenBySecond)].sort((one, other) => one - other));
    expect(seenBySecond).toEqual(expect.arrayContaining(confirmed));
    expect(seenByFirst).toEqual(seenBySecond.slice(0, seenByFirst.length));
    expect(seenByFirst.length).toBeGreaterThan(60);
    const found = new Map(after.items.map(({ metadata: { name, resourceVersion: at } }) => [name, Number(at)]));
    expect(Object.fromEntries(found)).toMatchObject(Object.fromEntries(throughSecond.newest));
    // The write that was under way may have been done.
    for (const [name, revision] of throughFirst.newest) expect(found.get(name), name).toBeGreaterThanOrEqual(revision);
  });

  it('go on with the kubelet of the one that was killed, and serve the same when it is back', async () => {
    await clientOf(1).create(pods, podNamed('later'), { namespace: NAMESPACE });
    await untilRunning(1, 'later');
    expect((await exec(1, 'later', 'echo', 'later')).stdout.toString()).toBe('later\n');

    await startApiserver(0);
    expect((await exec(0, 'later', 'echo', 'back')).stdout.toString()).toBe('back\n');
    const versions = async (which: number): Promise<unknown> => {
      const client = clientOf(which);
      const [allPods, allLeases] = [await client.list(pods), await client.list(leases, { namespace: NAMESPACE })];
      return [...allPods.items, ...allLeases.items].map(({ metadata: { uid, resourceVersion } }) => [
        uid,
        resourceVersion,
      ]);
    };
    await expect.poll(async () => [await versions(0)], patience).toEqual([await versions(1)]);
    const node = await clientOf(0).get(nodes, 'n1');
    expect(node.status?.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('True');
  });
});
