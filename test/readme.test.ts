import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BackgroundChild, runChild } from './support/child.ts';
import { Containerd } from './support/containerd.ts';
import { freePort } from './support/free-port.ts';
import { describeWithPeer, requirePeer } from './support/peer.ts';
import { PodwireHop, podwireArgv } from './support/podwire.ts';
import { processesWith } from './support/process-table.ts';

// What README.md tells people to type, typed: ports and folders are those of the test, all else is as it stands there.

const root = resolve(import.meta.dirname, '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
let home: string;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'podwire-readme-'));
  const [node = '', main = ''] = podwireArgv();
  for (const [name, line] of [
    ['podwire', `exec ${node} ${main} "$@"`],
    ['npx', 'exec "$@"'],
  ]) {
    writeFileSync(join(home, String(name)), `#!/bin/sh\n${line}\n`);
    chmodSync(join(home, String(name)), 0o755);
  }
  env = { PATH: `${home}:${process.env['PATH']}`, HOME: home, TMPDIR: home };
});
afterEach(() => {
  const left = processesWith(home);
  for (const { pid } of left) process.kill(pid, 'SIGKILL');
  rmSync(home, { recursive: true });
  expect(left).toEqual([]);
});

/** The one block in which `words` stand. */
function block(words: string): string {
  const found = [...readme.matchAll(/^```(?:sh|ts|toml)\n(.*?)^```$/gms)].map(([, text = '']) => text);
  const [text, ...more] = found.filter((each) => each.includes(words));
  if (text === undefined || more.length > 0) throw new Error(`${found.length} blocks, not one with ${words}`);
  return text;
}

/** Our ports and folders in place of those that README names. */
function here(text: string, ports: Readonly<Record<string, number>> = {}): string {
  return Object.entries(ports).reduce(
    (now, [port, own]) => now.replaceAll(port, String(own)),
    text.replaceAll('/tmp/podwire', join(home, 'hops')),
  );
}

async function bash(script: string): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  const { exitCode, stdout, stderr } = await runChild('bash', ['-e', '-c', script], { env, cwd: root });
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

it('every podwire command line names commands and flags that there are', async () => {
  const blocks = [...readme.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text = '']) => text.replaceAll('\\\n', ' '));
  const lines = blocks.flatMap(
    (text) => text.match(/\bpodwire (?:up|runtime|kubelet|apiserver|exec)\b[^\n#&]*/g) ?? [],
  );
  expect(lines.length).toBeGreaterThan(9);
  for (const line of lines) {
    const { exitCode, stdout, stderr } = await bash(line.replace(/^podwire \w+/, '$& --help'));
    expect({ line, exitCode, stderr }).toEqual({ line, exitCode: 0, stderr: '' });
    expect(stdout).toContain(`Usage: podwire ${line.split(' ')[1]}`);
  }
});

it('every file that it links to is there', () => {
  const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map(([, path = '']) => path);
  expect(links.length).toBeGreaterThan(5);
  expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

it('the first block is the way of a fresh clone', () => {
  expect(block('npm ci').split('\n')).toEqual(['npm ci', expect.stringMatching(/^npm start +#/), '']);
});

describeWithPeer('kubectl', 'with kubectl', () => {
  beforeEach(() => {
    symlinkSync(requirePeer('kubectl'), join(home, 'kubectl'));
  });

  it('up, and kubectl and podwire in another terminal', async () => {
    const port = await freePort();
    const line = `exec ${block('npx podwire up').trim()} --secure-port ${port}`;
    await using up = new BackgroundChild('bash', ['-c', line], { env, cwd: root });
    await up.waitForLog(/^ready /m);
    const { exitCode, stdout } = await bash(
      block('kubectl exec -it demo').replaceAll('-- sh', "-- sh -c 'echo in $0'"),
    );
    expect(stdout).toMatch(/^demo +1\/1 +Running/m);
    expect(stdout.match(/^in sh\r?$/gm)).toHaveLength(2);
    expect(exitCode).toBe(0);
  });

  it('each hop alone on one machine, a pod, and exec through all and past the apiserver', async () => {
    const ports = { '10250': await freePort() };
    const apiserver = await freePort();
    const start = here(block('podwire runtime'), ports)
      .replace('--cert-dir', `--secure-port ${apiserver} --cert-dir`)
      .replace('--node-ip', `--port ${ports['10250']} --healthz-port 0 --node-ip`);
    await using hops = new BackgroundChild('bash', ['-c', `${start}\nwait`], { env, cwd: root });
    for (const hop of ['unix:', `https://127.0.0.1:${apiserver}`, `https://127.0.0.1:${ports['10250']}`]) {
      await hops.waitForLog(new RegExp(`^ready ${hop}`, 'm'));
    }
    const { exitCode, stdout, stderr } = await bash(here(block('kubectl create -f'), ports));
    await bash(`kubectl --kubeconfig ${home}/hops/apiserver/kubeconfig delete pod web --now`);
    const started = processesWith(home).filter(({ command }) =>
      /main\.js (?:runtime|kubelet|apiserver) /.test(command),
    );
    for (const { pid } of started.toReversed()) process.kill(pid, 'SIGTERM');
    await hops.exited;
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(/\nthrough all hops\npast the apiserver\n$/);
  });
});

it('the library', async () => {
  const stateDir = join(home, 'state');
  await using up = await PodwireHop.start('up', ['--state-dir', stateDir, '--secure-port', '0']);
  const library = pathToFileURL(join(root, 'dist/client/index.js')).href;
  const program = join(home, 'program.mjs');
  writeFileSync(program, `${block("from 'podwire'").replace("'podwire'", `'${library}'`)}\nconsole.log(outcome);\n`);
  const { stdout } = await runChild(process.execPath, [program], {
    env: { ...env, KUBECONFIG: join(stateDir, 'kubeconfig') },
  });
  expect(stdout.toString()).toBe("hi\n{ kind: 'exited', code: 3 }\n");
  await up.stop();
});

describeWithPeer('containerd', 'a containerd over TCP', () => {
  it('with the configuration that README gives, a kubelet that stands alone execs there', async () => {
    const streaming = await freePort();
    const toml = block('stream_server_port');
    expect(toml).toMatch(/^\[grpc\]\n {2}tcp_address = "127\.0\.0\.1:2376"$/m);
    expect(toml).toContain('  disable_tcp_service = false\n');
    const criSettings = toml.replaceAll('10010', String(streaming)).match(/stream_server.*/g) ?? [];
    await using containerd = await Containerd.start({ tcp: true, criSettings });
    const { containerId } = await containerd.runPod({ name: 'remote' });
    const [, address = ''] = (containerd.tcpAddress ?? '').split(':');
    const ports = { '2376': Number(address), '10250': await freePort() };
    const [, kubelet = '', exec = ''] = here(block('ssh -N'), ports).split('\n');
    const line = `exec ${kubelet} --port ${ports['10250']} --healthz-port 0`;
    await using hop = new BackgroundChild('bash', ['-c', line], { env, cwd: root });
    await hop.waitForLog(/^ready /m);
    const attempt = async (): Promise<string> => {
      const { stdout, stderr } = await bash(exec.replace('POD -- date', 'remote -- hostname'));
      return stdout + stderr;
    };
    await expect.poll(attempt, { timeout: 20_000 }).toBe('remote\n');
    expect((await containerd.cri.execUrl({ containerId, argv: ['true'] })).port).toBe(String(streaming));
    expect(dirname(/^kubeconfig (.*)$/m.exec(hop.log)?.[1] ?? '')).toBe(join(home, '.local/state/podwire/kubelet'));
    await hop.stop();
  });
});
