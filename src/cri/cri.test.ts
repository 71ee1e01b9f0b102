import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whenAborted } from '../../test/support/when-aborted.ts';
import { ExecPathError } from '../common/errors.ts';
import {
  type CallTrace,
  ContainerState,
  CriClient,
  type CriHandlers,
  type CriServer,
  grpcCodes,
  RuntimeCallError,
  serveCri,
} from './index.ts';
import { MAX_MESSAGE_BYTES } from './service.ts';

let folder: string;
let sockets = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-cri-'));
});
afterAll(() => rm(folder, { recursive: true }));

const newSocketPath = (): string => join(folder, `${sockets++}.sock`);

type Rig = { client: CriClient; server: CriServer };

/** The same behaviour on both kinds of socket. */
function behaviour(title: string, handlers: () => CriHandlers, run: (rig: Rig) => Promise<void>): void {
  it.each(['a unix socket', 'TCP'])(`${title}, over %s`, async (kind) => {
    const listen = kind === 'TCP' ? { tcp: '127.0.0.1:0' } : { socketPath: newSocketPath() };
    await using server = await serveCri(handlers(), listen, { closeGraceMs: 200 });
    await using client = new CriClient(server.endpoints[0]!);
    await run({ client, server });
  });
}

describe('a CRI client and a CRI server', () => {
  behaviour(
    'exchange whole messages for the fields that were given',
    () => ({
      runtime: {
        containerStatus: async ({ containerId, verbose }) => ({
          status: { id: containerId, state: ContainerState.CONTAINER_EXITED, createdAt: 1_700_000_000_000_000_001n },
          info: { verbose: String(verbose) },
        }),
      },
      image: { pullImage: async ({ image }) => ({ imageRef: `sha256:${image?.image}` }) },
    }),
    async ({ client }) => {
      const { status, info } = await client.runtime.containerStatus({ containerId: 'ä', verbose: true });
      expect(status).toMatchObject({
        id: 'ä',
        state: 2,
        createdAt: 1_700_000_000_000_000_001n,
        exitCode: 0,
        labels: {},
      });
      expect(info).toEqual({ verbose: 'true' });
      expect(await client.image.pullImage({ image: { image: 'busybox' } })).toMatchObject({
        imageRef: 'sha256:busybox',
      });
    },
  );

  behaviour(
    'stream messages in order to a normal end',
    () => ({
      runtime: {
        async *streamContainers() {
          for (let id = 0; id < 300; id++) yield { containers: [{ id: String(id) }] };
        },
      },
    }),
    async ({ client }) => {
      const ids: string[] = [];
      for await (const { containers } of client.runtime.streamContainers({})) ids.push(containers[0]?.id ?? '');
      expect(ids).toEqual(Array.from({ length: 300 }, (_, id) => String(id)));
    },
  );

  behaviour(
    'pass on what a handler throws',
    () => ({
      runtime: {
        containerStatus: async () =>
          Promise.reject(new RuntimeCallError(grpcCodes.AlreadyExists, 'name "a" is reserved: 100 % ☂')),
        execSync: async () => Promise.reject(new ExecPathError('ERR_NOT_FOUND', 'no container "x"')),
        attach: async () => Promise.reject(new TypeError('plain')),
        removeContainer: () => {
          throw new Error('not even a promise');
        },
        startContainer: async () => ({ bogus: 1n }) as object,
        stopContainer: async () => undefined as never,
        podSandboxStatus: async () => ({ timestamp: 1n << 64n }),
        async *streamContainers() {
          yield { containers: [{ id: 'first' }] };
          throw new RuntimeCallError(grpcCodes.NotFound, 'then gone');
        },
      },
    }),
    async ({ client: { runtime } }) => {
      await expect(runtime.containerStatus({})).rejects.toMatchObject({
        message: 'rpc error: code = AlreadyExists desc = name "a" is reserved: 100 % ☂',
        rpc: 'ContainerStatus',
      });
      await expect(runtime.execSync({})).rejects.toMatchObject({
        code: 'ERR_CRI_NOT_FOUND',
        description: 'no container "x"',
      });
      await expect(runtime.attach({})).rejects.toMatchObject({ grpcCode: grpcCodes.Unknown, description: 'plain' });
      await expect(runtime.removeContainer({})).rejects.toMatchObject({ description: 'not even a promise' });
      await expect(runtime.startContainer({})).resolves.toBeDefined();
      await expect(runtime.stopContainer({})).resolves.toBeDefined();
      await expect(runtime.podSandboxStatus({})).rejects.toThrow(/PodSandboxStatusResponse\.timestamp/);
      const stream = runtime.streamContainers({});
      expect((await stream.next()).value?.containers[0]?.id).toBe('first');
      await expect(stream.next()).rejects.toMatchObject({ grpcCode: grpcCodes.NotFound, description: 'then gone' });
    },
  );

  behaviour(
    'agree on what is not implemented',
    () => ({ runtime: {} }),
    async ({ client }) => {
      const answer = { code: 'ERR_CRI_UNIMPLEMENTED', grpcCode: grpcCodes.Unimplemented };
      await expect(client.runtime.status({})).rejects.toMatchObject(answer);
      await expect(client.image.listImages({})).rejects.toMatchObject(answer);
      await expect(client.runtime.getContainerEvents({}).next()).rejects.toMatchObject(answer);
    },
  );

  const told: Promise<unknown>[] = [];
  behaviour(
    'end a call at its deadline, and the handler learns of it',
    () => ({
      runtime: {
        status: async (_, { signal }) => {
          told.push(whenAborted(signal));
          await told.at(-1);
          return {};
        },
      },
    }),
    async ({ client }) => {
      await expect(client.runtime.status({}, { timeoutMs: 100 })).rejects.toMatchObject({
        code: 'ERR_CRI_DEADLINE',
        grpcCode: grpcCodes.DeadlineExceeded,
      });
      expect(await told.at(-1)).toMatchObject({ grpcCode: grpcCodes.Canceled });
    },
  );

  behaviour(
    'carry just under 16 MiB and refuse more with ResourceExhausted',
    () => ({
      runtime: {
        execSync: async ({ cmd, timeout }) => ({ stdout: Buffer.alloc(Number(timeout)), exitCode: cmd.length }),
      },
    }),
    async ({ client: { runtime } }) => {
      const most = MAX_MESSAGE_BYTES - 64;
      expect((await runtime.execSync({ timeout: BigInt(most) })).stdout).toHaveLength(most);
      expect((await runtime.execSync({ timeout: 1n, cmd: ['x'.repeat(most)] })).exitCode).toBe(1);
      const refusal = { code: 'ERR_CRI_EXHAUSTED', grpcCode: grpcCodes.ResourceExhausted };
      await expect(runtime.execSync({ timeout: BigInt(MAX_MESSAGE_BYTES) })).rejects.toMatchObject(refusal);
      await expect(runtime.execSync({ timeout: 1n, cmd: ['x'.repeat(MAX_MESSAGE_BYTES)] })).rejects.toMatchObject(
        refusal,
      );
      expect((await runtime.execSync({ timeout: 1n })).stdout).toHaveLength(1);
    },
  );

  it('keep a handler object’s own `this`', async () => {
    class Runtime {
      readonly #name = 'mine';
      async version(): Promise<{ runtimeName: string }> {
        return { runtimeName: this.#name };
      }
    }
    await using server = await serveCri({ runtime: new Runtime() }, { socketPath: newSocketPath() });
    await using client = new CriClient(server.endpoints[0]!);
    expect(await client.runtime.version({})).toMatchObject({ runtimeName: 'mine' });
  });

  it('tell each finished call on a diagnostics channel', async () => {
    await using server = await serveCri({ runtime: { version: async () => ({}) } }, { socketPath: newSocketPath() });
    await using client = new CriClient(server.endpoints[0]!);
    const traces: CallTrace[] = [];
    const note = (trace: unknown): void => void traces.push(trace as CallTrace);
    subscribe('exec:cri:call', note);
    try {
      await client.runtime.version({});
      await client.runtime.status({}).catch(() => {});
    } finally {
      unsubscribe('exec:cri:call', note);
    }
    expect(traces.map(({ side, rpc, grpcCode, endpoint }) => [side, rpc, grpcCode, endpoint])).toEqual([
      ['server', 'Version', 0, undefined],
      ['client', 'Version', 0, client.endpoint],
      ['server', 'Status', 12, undefined],
      ['client', 'Status', 12, client.endpoint],
    ]);
  });
});
