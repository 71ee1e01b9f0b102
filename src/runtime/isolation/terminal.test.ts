import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findBusybox, imageArchive, TEST_IMAGE } from '../../../test/support/image.ts';
import { CriClient, NamespaceMode, serveCri } from '../../cri/index.ts';
import { createRuntime, ImageStore, type RunningProcess, type Runtime } from '../index.ts';
import { isolationObstacle } from './index.ts';

const canRun = (await isolationObstacle()) === undefined && findBusybox() !== undefined;

describe.skipIf(!canRun)('a command on a terminal within walls', () => {
  it.each([
    ['own', NamespaceMode.CONTAINER],
    ['shared', NamespaceMode.POD],
    ['the machine’s', NamespaceMode.NODE],
  ])('has job control, its size and its end, with %s processes', async (_title, pid) => {
    await inContainer(pid, async (runtime, url) => {
      const script = 'stty size; echo $$; sleep 100 & jobs; kill %1; exit 7';
      const process = await runtime
        .exec((await url(['sh', '-ic', script])).split('/').at(-1)!)!
        .start({ width: 99, height: 33 });
      expect(await outputOf(process)).toMatch(/33 99\r\n\d+\r\n\[1\]\+?\s+Running/);
      expect((await process.exited).code).toBe(7);
    });
  });
});

async function outputOf(process: RunningProcess): Promise<string> {
  let text = '';
  process.stdout!.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await process.exited;
  await process.drained(2000);
  return text;
}

type Use = (runtime: Runtime, url: (cmd: string[]) => Promise<string>) => Promise<void>;

async function inContainer(pid: NamespaceMode, use: Use): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'podwire-terminal-'));
  const stateDir = join(directory, 'state');
  writeFileSync(join(directory, 'image.tar'), imageArchive());
  await new ImageStore(stateDir).import(join(directory, 'image.tar'));
  {
    await using runtime = await createRuntime({ stateDir, isolation: true, streamingUrl: () => 'http://127.0.0.1:1/' });
    await using _server = await serveCri(runtime.handlers, { socketPath: join(directory, 'cri.sock') });
    const client = new CriClient(join(directory, 'cri.sock'));
    const linux = { securityContext: { namespaceOptions: { pid } } };
    const metadata = { name: 'p', namespace: 'n', uid: 'u', attempt: 0 };
    const { podSandboxId } = await client.runtime.runPodSandbox({ config: { metadata, linux } });
    const command = ['sleep', '1000'];
    const config = { metadata: { name: 'c' }, image: { image: TEST_IMAGE }, command, linux, tty: true };
    const { containerId } = await client.runtime.createContainer({ podSandboxId, config });
    await client.runtime.startContainer({ containerId });
    const url = async (cmd: string[]) =>
      (await client.runtime.exec({ containerId, cmd, tty: true, stdin: true, stdout: true })).url;
    await use(runtime, url);
    await client.close();
  }
  rmSync(directory, { recursive: true });
}
