import { afterAll, beforeAll, expect, it } from 'vitest';
import { ContainerState, CriClient, grpcCodes, NamespaceMode, PodSandboxState } from '../../src/cri/index.ts';
import { Containerd } from '../support/containerd.ts';
import { TEST_IMAGE } from '../support/image.ts';
import { describeWithPeer } from '../support/peer.ts';

describeWithPeer('containerd', 'our CRI client against containerd', () => {
  let containerd: Containerd;
  let client: CriClient;

  beforeAll(async () => {
    containerd = await Containerd.start({ tcp: true });
    client = new CriClient(containerd.endpoint);
  });
  afterAll(async () => {
    await client?.close();
    await containerd?.dispose();
  });

  it('learns name, versions and conditions', async () => {
    const version = await client.runtime.version({ version: '0.1.0' });
    expect(version).toMatchObject({ version: '0.1.0', runtimeName: 'containerd', runtimeApiVersion: 'v1' });
    expect(version.runtimeVersion).toMatch(/^v?\d+\.\d+/);
    const { status, info } = await client.runtime.status({ verbose: true });
    expect(status?.conditions).toContainEqual(expect.objectContaining({ type: 'RuntimeReady', status: true }));
    expect(status?.conditions).toContainEqual(expect.objectContaining({ type: 'NetworkReady', status: true }));
    expect(JSON.parse(info['config'] ?? '')).toHaveProperty('containerdEndpoint', containerd.socket);
  });

  it('gets NotFound in the words of a Go client', async () => {
    const call = client.runtime.containerStatus({ containerId: 'nowhere' });
    await expect(call).rejects.toMatchObject({
      code: 'ERR_CRI_NOT_FOUND',
      grpcCode: grpcCodes.NotFound,
      rpc: 'ContainerStatus',
      hop: 'runtime',
      message: expect.stringMatching(/^rpc error: code = NotFound desc = an error occurred when try to find container/),
    });
    // containerd 1.6 looks the empty id up before it checks the request, so this is not the InvalidArgument of cri.md 4.5.
    await expect(client.runtime.exec({})).rejects.toMatchObject({
      code: 'ERR_CRI_CALL',
      message: `rpc error: code = Unknown desc = failed to find container "" in store: Prefix can't be empty`,
    });
    const unknown = await client.image.imageStatus({ image: { image: 'podwire.local/nothing:1' } });
    expect(unknown.image).toBeUndefined();
  });

  it('gets Unimplemented for calls that are newer than containerd 1.6', async () => {
    expect((await client.runtime.version({})).runtimeVersion).toMatch(/^v?1\.6\./);
    await expect(client.runtime.runtimeConfig({})).rejects.toMatchObject({ code: 'ERR_CRI_UNIMPLEMENTED' });
    await expect(client.runtime.getContainerEvents({}).next()).rejects.toMatchObject({
      grpcCode: grpcCodes.Unimplemented,
    });
    await expect(client.image.streamImages({}).next()).rejects.toMatchObject({ grpcCode: grpcCodes.Unimplemented });
  });

  it('runs a pod from sandbox to removal, over the socket and over TCP', async () => {
    await using overTcp = new CriClient(`tcp://${containerd.tcpAddress}`);
    const sandboxConfig = {
      metadata: { name: 'walk', namespace: 'default', uid: 'walk-uid', attempt: 2 },
      labels: { app: 'walk' },
      linux: { securityContext: { namespaceOptions: { network: NamespaceMode.NODE } } },
    };
    const { podSandboxId } = await client.runtime.runPodSandbox({ config: sandboxConfig });
    const config = {
      metadata: { name: 'main', attempt: 1 },
      image: { image: TEST_IMAGE },
      command: ['sh', '-c', 'printf %s "$WORD"; exec sleep 2147483647'],
      envs: [{ key: 'WORD', value: Buffer.from('naïve') }],
      annotations: { note: 'kept' },
    };
    const { containerId } = await overTcp.runtime.createContainer({ podSandboxId, config, sandboxConfig });
    await client.runtime.startContainer({ containerId });

    const { items } = await client.runtime.listPodSandbox({ filter: { labelSelector: { app: 'walk' } } });
    expect(items).toMatchObject([
      { id: podSandboxId, metadata: { uid: 'walk-uid', attempt: 2 }, state: PodSandboxState.SANDBOX_READY },
    ]);
    const listed = await overTcp.runtime.listContainers({ filter: { podSandboxId } });
    expect(listed.containers).toMatchObject([{ id: containerId, state: ContainerState.CONTAINER_RUNNING }]);
    const { status } = await client.runtime.containerStatus({ containerId });
    expect(status).toMatchObject({ metadata: { name: 'main', attempt: 1 }, annotations: { note: 'kept' } });
    expect(Number(status!.startedAt / 1_000_000n)).toBeGreaterThan(Date.now() - 60_000);

    expect(
      await client.runtime.execSync({ containerId, cmd: ['sh', '-c', 'echo $WORD; echo no >&2; exit 7'] }),
    ).toMatchObject({
      stdout: Uint8Array.from(Buffer.from('naïve\n')),
      stderr: Uint8Array.from(Buffer.from('no\n')),
      exitCode: 7,
    });
    const slow = client.runtime.execSync({ containerId, cmd: ['sleep', '60'], timeout: 1n });
    await expect(slow).rejects.toMatchObject({
      code: 'ERR_CRI_DEADLINE',
      message: expect.stringContaining('timeout 1s exceeded'),
    });
    const both = client.runtime.exec({ containerId, cmd: ['true'], stdout: true, stderr: true, tty: true });
    await expect(both).rejects.toMatchObject({ grpcCode: grpcCodes.InvalidArgument, code: 'ERR_CRI_INVALID_ARGUMENT' });
    const { url } = await client.runtime.exec({ containerId, cmd: ['true'], stdout: true });
    expect(new URL(url).pathname).toMatch(/^\/exec\/.+/);

    await client.runtime.stopContainer({ containerId, timeout: 0n });
    const stopped = await client.runtime.containerStatus({ containerId });
    expect(stopped.status).toMatchObject({ state: ContainerState.CONTAINER_EXITED, exitCode: 137 });
    await client.runtime.removePodSandbox({ podSandboxId });
    expect((await client.runtime.listContainers({})).containers).toEqual([]);
  });

  it('knows every field that containerd sends', async () => {
    const { sandboxId, containerId } = await containerd.runPod({ name: 'fields' });
    const answers = [
      await client.runtime.podSandboxStatus({ podSandboxId: sandboxId, verbose: true }),
      await client.runtime.containerStatus({ containerId, verbose: true }),
      await client.runtime.containerStats({ containerId }),
      await client.runtime.listContainerStats({}),
      await client.image.listImages({}),
      await client.image.imageFsInfo({}),
    ];
    for (const answer of answers) expect(unknownFields(answer)).toEqual([]);
    const { images } = await client.image.listImages({});
    expect(images.flatMap(({ repoTags }) => repoTags)).toContain(TEST_IMAGE);
  });

  it('fails with Unavailable when containerd was killed', async () => {
    await client.runtime.version({});
    await containerd.killDaemon();
    await expect(client.runtime.version({})).rejects.toMatchObject({
      code: 'ERR_CRI_UNAVAILABLE',
      message: expect.stringContaining('code = Unavailable'),
    });
  });
});

/** Paths of the fields that a message carries and our api.proto does not name. */
function unknownFields(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  return Object.entries(value).flatMap(([key, field]) =>
    key === '$unknown' ? [`${path} ${JSON.stringify(field)}`] : unknownFields(field, `${path}.${key}`),
  );
}
