import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CriClient } from '../../src/cri/index.ts';
import { openPortForward, type PortForwardSession } from '../../src/portforward/index.ts';
import { ImageStore, type RunningRuntime, startRuntime } from '../../src/runtime/index.ts';
import { findBusybox, imageArchive, TEST_IMAGE } from '../support/image.ts';
import { readAll } from '../support/read-all.ts';

const canRun = process.getuid?.() === 0 && findBusybox() !== undefined;

/** Tells how long the client's input was when it has ended, and never stops talking then. */
const COUNT = Buffer.from('#!/bin/sh\nwc -c; exec cat /dev/zero\n');

describe.skipIf(!canRun)('port-forward into a pod with a network of its own', () => {
  let directory: string;
  let runtime: RunningRuntime;
  let cri: CriClient;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'podwire-pod-loopback-'));
    const stateDir = join(directory, 'state');
    writeFileSync(
      join(directory, 'image.tar'),
      imageArchive({ files: [{ kind: 'file', name: 'bin/count', mode: 0o755, body: COUNT }] }),
    );
    await new ImageStore(stateDir).import(join(directory, 'image.tar'));
    runtime = await startRuntime({ stateDir, isolation: true });
    cri = new CriClient(runtime.endpoints[0] ?? '');
  });

  afterAll(async () => {
    await cri.close();
    await runtime.close();
    rmSync(directory, { recursive: true, force: true });
  });

  async function podWith(...argv: string[]): Promise<string> {
    const config = { metadata: { name: 'p', namespace: 'default', uid: argv.join(' '), attempt: 0 } };
    const { podSandboxId } = await cri.runtime.runPodSandbox({ config });
    const container = { metadata: { name: 'c', attempt: 0 }, image: { image: TEST_IMAGE }, command: argv };
    const { containerId } = await cri.runtime.createContainer({
      podSandboxId,
      config: container,
      sandboxConfig: config,
    });
    await cri.runtime.startContainer({ containerId });
    const listens = ['sh', '-c', 'until netstat -ltn | grep -q ":80 "; do :; done'];
    const { exitCode } = await cri.runtime.execSync({ containerId, cmd: listens, timeout: 10n });
    expect(exitCode).toBe(0);
    return podSandboxId;
  }

  async function forward(podSandboxId: string): Promise<PortForwardSession> {
    const url = new URL((await cri.runtime.portForward({ podSandboxId })).url);
    const socket = connect(Number(url.port), url.hostname);
    await once(socket, 'connect');
    return openPortForward(socket, { transport: 'spdy', path: url.pathname, host: url.host });
  }

  it.each(['127.0.0.1', '[::1]'])('reaches a server that listens on %s alone', async (host) => {
    const podSandboxId = await podWith('httpd', '-f', '-p', `${host}:80`, '-h', '/www');
    await using session = await forward(podSandboxId);
    const { data } = await session.connect(80);
    data.end('GET /index.html HTTP/1.0\r\n\r\n');
    expect((await readAll(data)).toString()).toMatch(/^HTTP\/1\.. 200 [^]*podwire\n$/);
    const refused = await session.connect(81);
    refused.data.resume();
    expect(await refused.failed).toMatchObject({ message: expect.stringContaining('ECONNREFUSED 127.0.0.1:81') });
    await cri.runtime.removePodSandbox({ podSandboxId });
  });

  it('carries both ways at once, with an end on one side, and lets the pod stop meanwhile', async () => {
    const podSandboxId = await podWith('nc', '-ll', '-p', '80', '-e', '/bin/count');
    await using session = await forward(podSandboxId);
    const { data } = await session.connect(80);
    data.end(Buffer.alloc(5_000_000));
    const [first] = (await once(data, 'data')) as [Buffer];
    expect(first.toString('latin1')).toMatch(/^5000000\n/);
    // Nobody reads any more; the pod can be taken away all the same.
    data.pause();
    await cri.runtime.removePodSandbox({ podSandboxId });
  });
});
