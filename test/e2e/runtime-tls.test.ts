import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { exited } from '../../src/common/outcome.ts';
import { CriClient } from '../../src/cri/index.ts';
import { dialSpdy, openChannels } from '../../src/httpstream/index.ts';
import type { RunningKubelet } from '../../src/kubelet/index.ts';
import { CertificateAuthority, type KeyPair } from '../../src/pki/index.ts';
import {
  channelStreamSet,
  openStreamSet,
  type RemoteCommand,
  runRemoteCommand,
  type StreamSet,
} from '../../src/remotecommand/index.ts';
import { HOST_IMAGE } from '../../src/runtime/index.ts';
import { type ChildResult, runChild } from '../support/child.ts';
import { PodwireHop, podwireArgv } from '../support/podwire.ts';
import { readAll } from '../support/read-all.ts';
import { startKubeletWithPod } from '../support/static-kubelet.ts';

// The streaming server of `podwire runtime` with TLS, as its clients see it. Needs `npm run build`.

const streams = { stdin: true, stdout: true, stderr: false, tty: false };

type Transport = 'spdy' | 'websocket';
const transports: readonly Transport[] = ['spdy', 'websocket'];

async function open(
  socket: TLSSocket | ReturnType<typeof connectTcp>,
  path: string,
  how: Transport,
): Promise<StreamSet> {
  if (how === 'websocket') {
    const protocols = ['v5.channel.k8s.io'];
    return channelStreamSet(await openChannels(socket, { path, host: 'n1', protocols }), streams);
  }
  const headers: [string, string][] = [['Host', 'n1']];
  const { session, protocol } = await dialSpdy(socket, { path, headers, protocols: ['v4.channel.k8s.io'] });
  return openStreamSet(session, protocol, streams);
}

/** Of a command that prints what it is given. */
async function echoOf(command: RemoteCommand): Promise<string> {
  command.stdin?.end('typed');
  const said = await readAll(command.stdout!);
  expect(await command.completed).toEqual(exited(0));
  return said.toString();
}

describe('podwire runtime with --stream-tls-cert-file and --stream-tls-key-file', () => {
  let folder: string;
  let authority: CertificateAuthority;
  let runtime: PodwireHop;
  let cri: CriClient;
  let containerId: string;
  let kubelet: RunningKubelet;

  const file = (name: string): string => join(folder, name);
  const issue = (): Promise<KeyPair> =>
    authority.issue({ commonName: 'node', hosts: ['127.0.0.1'], usages: ['server'] });
  const write = ({ certificate, key }: KeyPair): void => {
    writeFileSync(file('node.key'), key);
    writeFileSync(file('node.crt'), certificate);
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'podwire-stream-tls-'));
    authority = await CertificateAuthority.create('streams');
    writeFileSync(file('ca.crt'), authority.certificate);
    write(await issue());
    const files = ['--stream-tls-cert-file', file('node.crt'), '--stream-tls-key-file', file('node.key')];
    runtime = await PodwireHop.start('runtime', ['--state-dir', file('runtime'), ...files]);
    cri = new CriClient(runtime.address);
    const sandboxConfig = { metadata: { name: 'p', namespace: 'default', uid: 'u', attempt: 0 } };
    const { podSandboxId } = await cri.runtime.runPodSandbox({ config: sandboxConfig });
    const config = { metadata: { name: 'c' }, image: { image: HOST_IMAGE }, command: ['sleep', '100000'] };
    ({ containerId } = await cri.runtime.createContainer({ podSandboxId, config, sandboxConfig }));
    await cri.runtime.startContainer({ containerId });
    const container = { name: 'main', image: HOST_IMAGE, command: ['sleep', '100000'] };
    const spec = { hostNetwork: true, terminationGracePeriodSeconds: 0, containers: [container] };
    kubelet = await startKubeletWithPod(folder, runtime.address, { spec });
  });

  afterAll(async () => {
    await kubelet.close(0);
    await cri.close();
    await runtime[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  afterEach(() => void vi.unstubAllEnvs());

  async function dial(url: URL, ca: string): Promise<TLSSocket> {
    const socket = connect({ host: url.hostname, port: Number(url.port), ca, ALPNProtocols: ['http/1.1'] });
    await once(socket, 'secureConnect');
    return socket;
  }

  const urlOf = async (cmd: string[]): Promise<URL> =>
    new URL((await cri.runtime.exec({ containerId, cmd, stdin: true, stdout: true })).url);

  it.each(transports)('executes a command over %s and https', async (how) => {
    const url = await urlOf(['cat']);
    expect(url.protocol).toBe('https:');
    const command = runRemoteCommand(await open(await dial(url, authority.certificate), url.pathname, how));
    expect(await echoOf(command)).toBe('typed');
  });

  it('speaks no plain HTTP, and a token that comes so is not used up', async () => {
    const url = await urlOf(['cat']);
    const plain = connectTcp(Number(url.port), url.hostname);
    plain.end(`GET ${url.pathname} HTTP/1.1\r\nHost: n1\r\n\r\n`);
    expect((await readAll(plain)).toString()).toContain('400 Bad Request');
    const command = runRemoteCommand(await open(await dial(url, authority.certificate), url.pathname, 'spdy'));
    expect(await echoOf(command)).toBe('typed');
  });

  it.each(transports)('is reached by a kubelet whose machine trusts the authority, over %s', async (how) => {
    vi.stubEnv('SSL_CERT_FILE', file('ca.crt'));
    const socket = connectTcp(kubelet.port, '127.0.0.1');
    await once(socket, 'connect');
    const path = '/exec/default/web-n1/main?command=cat&input=1&output=1';
    expect(await echoOf(runRemoteCommand(await open(socket, path, how)))).toBe('typed');
  });

  it('is not believed by a kubelet whose machine knows nothing of the authority, who says what to do', async () => {
    const stranger = await CertificateAuthority.create('stranger');
    writeFileSync(file('stranger.crt'), stranger.certificate);
    vi.stubEnv('SSL_CERT_FILE', file('stranger.crt'));
    const socket = connectTcp(kubelet.port, '127.0.0.1');
    await once(socket, 'connect');
    await expect(open(socket, '/exec/default/web-n1/main?command=cat&input=1&output=1', 'spdy')).rejects.toMatchObject({
      httpStatus: 500,
      body: expect.stringMatching(
        /the runtime's streaming server at 127\.0\.0\.1:\d+: its certificate is signed by nobody this machine trusts: .*SSL_CERT_FILE/,
      ) as unknown,
    });
  });

  it('takes renewed files without a restart', async () => {
    const url = await urlOf(['cat']);
    const serial = async (): Promise<string> => {
      const socket = await dial(url, authority.certificate);
      const { serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      return serialNumber;
    };
    const before = await serial();
    write(await issue());
    await expect.poll(serial, { timeout: 20_000, interval: 250 }).not.toBe(before);
    const command = runRemoteCommand(await open(await dial(url, authority.certificate), url.pathname, 'spdy'));
    expect(await echoOf(command)).toBe('typed');
  });
});

describe('podwire runtime refuses', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'podwire-stream-flags-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function podwire(...flags: string[]): Promise<ChildResult> {
    const [node = '', ...argv] = podwireArgv('runtime', '--state-dir', join(folder, 'runtime'), ...flags);
    return runChild(node, argv);
  }

  const outside = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

  it.each(['0.0.0.0', '::', '', ...(outside === undefined ? [] : [outside])])(
    'a stream address that is not on loopback without TLS: %j',
    async (address) => {
      const { exitCode, stderr } = await podwire('--stream-address', address);
      expect(exitCode).not.toBe(0);
      expect(stderr.toString()).toContain(`the stream address ${JSON.stringify(address)} is not on loopback`);
      expect(stderr.toString()).toContain('give --stream-tls-cert-file and --stream-tls-key-file');
    },
  );

  it.each(['cert', 'key'])('--stream-tls-%s-file alone', async (one) => {
    const { exitCode, stderr } = await podwire(`--stream-tls-${one}-file`, 'some.pem');
    expect(exitCode).toBe(1);
    expect(stderr.toString()).toContain('--stream-tls-cert-file and --stream-tls-key-file go together');
  });
});
