import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CriClient } from '../../src/cri/index.ts';
import { ImageStore, type RunningRuntime, startRuntime } from '../../src/runtime/index.ts';
import { BackgroundChild, type ChildResult, runChild } from '../support/child.ts';
import { requirePeer } from '../support/find-peer.ts';
import { findBusybox, imageArchive, TEST_IMAGE } from '../support/image.ts';
import { describeWithPeer } from '../support/peer.ts';
import { readAll } from '../support/read-all.ts';
import { Terminal } from '../support/terminal.ts';

const canRun = process.getuid?.() === 0 && findBusybox() !== undefined;

/** Serves a page on the pod's loopback, writes to both outputs, then echoes what is typed. */
const SCRIPT =
  'httpd -p 127.0.0.1:80 -h /www; echo to stdout; echo to stderr >&2; while read -r line; do echo "got $line"; done; sleep 1000';

describeWithPeer('crictl', 'crictl and our runtime with walls', () => {
  let directory: string;
  let runtime: RunningRuntime;
  let podId: string;
  let containerId: string;

  beforeAll(async () => {
    if (!canRun) return;
    directory = mkdtempSync(join(tmpdir(), 'podwire-crictl-'));
    const stateDir = join(directory, 'state');
    writeFileSync(join(directory, 'image.tar'), imageArchive());
    await new ImageStore(stateDir).import(join(directory, 'image.tar'));
    runtime = await startRuntime({ stateDir, isolation: true });
    mkdirSync(join(directory, 'logs'));
    const pod = {
      metadata: { name: 'pod', namespace: 'ns', uid: 'u1', attempt: 1 },
      hostname: 'walled',
      log_directory: join(directory, 'logs'),
      linux: { security_context: { namespace_options: { pid: 1 } } },
      labels: { app: 'a' },
    };
    const container = {
      metadata: { name: 'shell' },
      image: { image: TEST_IMAGE },
      command: ['sh', '-c', SCRIPT],
      log_path: 'shell.log',
      stdin: true,
      linux: {
        resources: { memory_limit_in_bytes: 64 * 1024 * 1024 },
        security_context: { namespace_options: { pid: 1 } },
      },
    };
    writeFileSync(join(directory, 'pod.json'), JSON.stringify(pod));
    writeFileSync(join(directory, 'container.json'), JSON.stringify(container));
  });

  afterAll(async () => {
    if (!canRun) return;
    await runtime.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const argv = (...args: string[]): string[] => {
    return ['--runtime-endpoint', runtime.endpoints[0] ?? '', '--config', '/dev/null', '--timeout', '30s', ...args];
  };
  const crictl = (...args: string[]): Promise<ChildResult> => runChild(requirePeer('crictl'), argv(...args));

  /** What it prints. @throws Error when it fails */
  async function says(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await crictl(...args);
    if (exitCode !== 0) throw new Error(`crictl ${args.join(' ')}: ${stderr.toString()}`);
    return stdout.toString();
  }

  /** Flags stand before what they are about. */
  const show = async (verb: string, ...args: string[]): Promise<unknown> =>
    JSON.parse(await says(verb, '--output', 'json', ...args));

  it.skipIf(!canRun)('shows what the runtime is: version, info, runtime-config', async () => {
    expect(await says('version')).toMatch(/RuntimeName: +podwire\n/);
    const { status, config } = JSON.parse(await says('info')) as {
      status: { conditions: { type: string; status: boolean }[] };
      config: { isolation: string };
    };
    const types = status.conditions.map(({ type }) => type);
    expect(types).toEqual(['RuntimeReady', 'NetworkReady', 'ContainersIsolated', 'ResourceLimits']);
    expect(config.isolation).toBe('namespaces');
    expect(await says('runtime-config')).toContain('CGROUPFS');
    expect(await says('images')).toMatch(/podwire\.local\/busybox +1 /);
  });

  it.skipIf(!canRun)('runs a container in a pod of its own, and lists both', async () => {
    // `run` is runp, create and start.
    containerId = (
      await says('run', '--no-pull', join(directory, 'container.json'), join(directory, 'pod.json'))
    ).trim();
    expect(await says('ps', '-a')).toMatch(/Running +shell /);
    expect(await says('ps', '--label', 'app=b', '-q')).toBe('');
    const { items } = (await show('pods')) as { items: { id: string; state: string }[] };
    expect(items.map(({ state }) => state)).toEqual(['SANDBOX_READY']);
    podId = items[0]?.id ?? '';
    expect(await says('pods', '--label', 'app=a', '--state', 'ready', '-q')).toBe(`${podId}\n`);
    expect(await says('ps', '--pod', podId.slice(0, 13), '-q')).toBe(`${containerId}\n`);
    expect(await show('inspect', containerId)).toMatchObject({
      status: { state: 'CONTAINER_RUNNING', resources: { linux: { memoryLimitInBytes: '67108864' } } },
      info: { isolation: 'namespaces' },
    });
    expect(await show('inspectp', podId)).toMatchObject({ status: { state: 'SANDBOX_READY' } });
  });

  it.skipIf(!canRun)('executes commands: at once, with streams, at a terminal', async () => {
    expect(await says('exec', '--sync', containerId, 'hostname')).toMatch(/^walled\n+$/);
    for (const transport of ['spdy', 'websocket']) {
      const failing = await crictl('exec', '--transport', transport, containerId, 'sh', '-c', 'echo out; exit 7');
      expect(failing.stdout.toString()).toBe('out\n');
      expect(failing.stderr.toString()).toContain('exit code 7');
    }
    await using terminal = await Terminal.start([requirePeer('crictl'), ...argv('exec', '-it', containerId, 'sh')]);
    await terminal.waitFor('# ');
    await terminal.type('stty size; test -t 1 && echo a terminal\n');
    await terminal.waitFor(/24 80\s+a terminal/);
    await terminal.type('exit\n');
    expect(await terminal.exitCode()).toBe(0);
  });

  it.skipIf(!canRun)('attaches, and follows the log', async () => {
    const logs = new BackgroundChild(requirePeer('crictl'), argv('logs', '-f', containerId));
    await logs.waitForLog(/to std(out|err)/);
    const attached = await runChild(requirePeer('crictl'), argv('attach', '-i', containerId), {
      stdin: Buffer.from('a line\n'),
    });
    expect(attached.exitCode).toBe(0);
    await logs.waitForLog(/got a line/);
    await logs.stop();
    const said = await crictl('logs', containerId);
    expect(said.stdout.toString()).toBe('to stdout\ngot a line\n');
    expect(said.stderr.toString()).toBe('to stderr\n');
  });

  it.skipIf(!canRun)('forwards a port to a server on the loopback of the pod', async () => {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as { port: number };
    probe.close();
    const forward = new BackgroundChild(requirePeer('crictl'), argv('port-forward', podId, `${port}:80`));
    await forward.waitForLog(/Forwarding from 127\.0\.0\.1/);
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.end('GET /index.html HTTP/1.0\r\n\r\n');
    expect((await readAll(socket)).toString()).toMatch(/200 OK[^]*podwire\n$/);
    await forward.stop();
  });

  it.skipIf(!canRun)('shows what they use, and changes what they may', async () => {
    const { stats } = (await show('stats', '--seconds', '0', containerId)) as {
      stats: { memory: { workingSetBytes: { value: string } }; writableLayer: unknown }[];
    };
    expect(Number(stats[0]?.memory.workingSetBytes.value)).toBeGreaterThan(0);
    expect(stats[0]?.writableLayer).toBeDefined();
    const pods = (await show('statsp', '--seconds', '0', podId)) as {
      stats: { linux: { process: { processCount: { value: string } }; containers: unknown[] } }[];
    };
    expect(Number(pods.stats[0]?.linux.process.processCount.value)).toBeGreaterThan(0);
    expect(pods.stats[0]?.linux.containers.length).toBe(1);
    const update = await crictl('update', '--memory', String(128 * 1024 * 1024), containerId);
    const status = { resources: { linux: { memoryLimitInBytes: String(128 * 1024 * 1024) } } };
    if (update.exitCode === 0) expect(await show('inspect', containerId)).toMatchObject({ status });
    else expect(update.stderr.toString()).toContain('no cgroup of controller memory can be written here');
  });

  it.skipIf(!canRun)('stops and removes them', async () => {
    await using cri = new CriClient(runtime.endpoints[0] ?? '');
    const events = cri.runtime.getContainerEvents({})[Symbol.asyncIterator]();
    const next = events.next();
    expect(await says('stop', '--timeout', '0', containerId)).toBe(`${containerId}\n`);
    expect((await next).value).toMatchObject({ containerId });
    await events.return?.();
    expect(await says('ps', '-a', '--state', 'exited', '-q')).toBe(`${containerId}\n`);
    expect(await says('rm', containerId)).toBe(`${containerId}\n`);
    expect(await says('ps', '-aq')).toBe('');
    expect(await says('stopp', podId)).toContain(`Stopped sandbox ${podId}`);
    expect(await show('inspectp', podId)).toMatchObject({ status: { state: 'SANDBOX_NOTREADY' } });
    expect(await says('rmp', podId)).toContain(`Removed sandbox ${podId}`);
    expect(await says('pods', '-q')).toBe('');
    const { exitCode, stderr } = await crictl('inspectp', podId);
    expect([exitCode, stderr.toString()]).toEqual([1, expect.stringContaining('NotFound')]);
  });
});
