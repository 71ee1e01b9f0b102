import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CriClient } from '../../src/cri/index.ts';
import { CertificateAuthority, ReloadingTls } from '../../src/pki/index.ts';
import { HOST_IMAGE, type RunningRuntime, startRuntime } from '../../src/runtime/index.ts';
import { type ChildResult, runChild } from '../support/child.ts';
import { requirePeer } from '../support/find-peer.ts';
import { describeWithPeer } from '../support/peer.ts';

describeWithPeer('crictl', "crictl and our runtime's streaming server with TLS", () => {
  let folder: string;
  let tls: ReloadingTls;
  let runtime: RunningRuntime;
  let containerId: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'podwire-crictl-tls-'));
    const authority = await CertificateAuthority.create('streams');
    const pair = await authority.issue({ commonName: 'node', hosts: ['127.0.0.1', 'localhost'], usages: ['server'] });
    const files = { certificateFile: join(folder, 'node.crt'), keyFile: join(folder, 'node.key') };
    writeFileSync(join(folder, 'ca.crt'), authority.certificate);
    writeFileSync(files.certificateFile, pair.certificate);
    writeFileSync(files.keyFile, pair.key);
    const client = await authority.issue({ commonName: 'ada', usages: ['client'] });
    writeFileSync(join(folder, 'ada.crt'), client.certificate);
    writeFileSync(join(folder, 'ada.key'), client.key);
    tls = await ReloadingTls.load(files);
    runtime = await startRuntime({ stateDir: join(folder, 'state'), streaming: { tls } });
    const cri = new CriClient(runtime.endpoints[0] ?? '');
    const sandboxConfig = { metadata: { name: 'p', namespace: 'default', uid: 'u', attempt: 0 } };
    const { podSandboxId } = await cri.runtime.runPodSandbox({ config: sandboxConfig });
    const config = { metadata: { name: 'c' }, image: { image: HOST_IMAGE }, command: ['sleep', '100000'] };
    ({ containerId } = await cri.runtime.createContainer({ podSandboxId, config, sandboxConfig }));
    await cri.runtime.startContainer({ containerId });
    await cri.close();
  });

  afterAll(async () => {
    await runtime.close();
    tls.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** crictl trusts an authority only together with a certificate of its own, which our server does not ask for. */
  function exec(...flags: string[]): Promise<ChildResult> {
    const common = ['--runtime-endpoint', runtime.endpoints[0] ?? '', '--config', '/dev/null'];
    const tlsFlags = ['--tls-ca', 'ca.crt', '--tls-cert', 'ada.crt', '--tls-key', 'ada.key'];
    const command = [containerId, 'sh', '-c', 'echo out; exit 7'];
    return runChild(requirePeer('crictl'), [...common, 'exec', ...tlsFlags, ...flags, ...command], { cwd: folder });
  }

  it.each(['spdy', 'websocket'])(
    'executes a command over %s, trusting the authority by --tls-ca',
    async (transport) => {
      const { stdout, stderr } = await exec('--transport', transport);
      expect(stderr.toString()).toContain('exit code 7');
      expect(stdout.toString()).toBe('out\n');
    },
  );

  it('refuses the certificate under a name that it does not carry', async () => {
    const { exitCode, stdout, stderr } = await exec('--tls-server-name', 'other');
    expect([exitCode, stdout.toString()]).toEqual([1, '']);
    expect(stderr.toString()).toContain('not other');
  });
});
