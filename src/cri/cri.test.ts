import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CriClient, serveCri } from './index.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-cri-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('a CRI client and server', () => {
  it('meet on a unix socket and on TCP', async () => {
    const runtime = { version: async () => ({ runtimeName: 'test', runtimeApiVersion: 'v1' }) };
    await using server = await serveCri({ runtime }, { socketPath: join(folder, 'meet.sock'), tcp: '127.0.0.1:0' });
    expect(server.endpoints).toHaveLength(2);
    for (const endpoint of server.endpoints) {
      await using client = new CriClient(endpoint);
      expect(await client.runtime.version({})).toMatchObject({
        runtimeName: 'test',
        runtimeApiVersion: 'v1',
        version: '',
      });
    }
  });
});
