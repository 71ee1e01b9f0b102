import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { file_runtime_v1_api } from './gen/runtime/v1/api_pb.ts';
import { methodsOf } from './service.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

async function filesIn(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [file.slice(folder.length), await readFile(file, 'utf8')] as const)),
  );
}

describe('api.proto', () => {
  it('has the calls, messages and enums of CRI v1', () => {
    const { messages, enums, services } = file_runtime_v1_api;
    expect(services.map((service) => service.typeName)).toEqual([
      'runtime.v1.RuntimeService',
      'runtime.v1.ImageService',
    ]);
    expect([methodsOf('runtime').length, methodsOf('image').length]).toEqual([37, 6]);
    expect(messages).toHaveLength(175);
    expect(enums.length + messages.flatMap((message) => message.nestedEnums).length).toBe(11);
    expect(messages.flatMap((message) => message.nestedMessages)).toEqual([]);
  });

  it('has unary calls and server streams only', () => {
    expect(methodsOf('runtime').length).toBe(file_runtime_v1_api.services[0]?.methods.length);
    const streams = [...methodsOf('runtime'), ...methodsOf('image')].filter(({ methodKind }) => methodKind !== 'unary');
    expect(streams.map(({ name }) => name)).toEqual([
      'StreamPodSandboxes',
      'StreamContainers',
      'StreamContainerStats',
      'StreamPodSandboxStats',
      'GetContainerEvents',
      'StreamPodSandboxMetrics',
      'StreamImages',
    ]);
  });

  it.each([
    ['buf.gen.yaml', 'src/cri/gen', '/runtime/v1/api_pb.ts'],
    ['buf.gen.store.yaml', 'src/store/gen', '/etcd/v3/etcd_pb.ts'],
  ])('gives by %s the generated code that is committed', async (template, out, name) => {
    const folder = await mkdtemp(join(tmpdir(), 'podwire-buf-'));
    try {
      await promisify(execFile)(
        join(root, 'node_modules/.bin/buf'),
        ['generate', '--template', template, '--output', folder],
        {
          cwd: root,
          env: { ...process.env, BUF_CACHE_DIR: join(folder, 'cache') },
          timeout: 60_000,
        },
      );
      const generated = await filesIn(join(folder, out));
      expect(Object.keys(generated)).toEqual([name]);
      expect((await filesIn(join(root, out))) as unknown).toEqual(generated);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
