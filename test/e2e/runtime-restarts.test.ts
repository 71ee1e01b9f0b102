import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ContainerState, CriClient } from '../../src/cri/index.ts';
import { HOST_IMAGE } from '../../src/runtime/index.ts';
import { PodwireHop } from '../support/podwire.ts';
import { processesWith } from '../support/process-table.ts';

it('podwire runtime ends its containers when it is stopped, unless it is to leave them', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'podwire-leave-'));
  const flags = ['--state-dir', stateDir];
  const mark = `podwire-leave-${process.pid}`;
  const metadata = { name: 'p', namespace: 'n', uid: 'u', attempt: 0 };
  const command = ['sh', '-c', `sleep 1000; : ${mark}`];
  const config = { metadata: { name: 'c', attempt: 0 }, image: { image: HOST_IMAGE }, command };
  let containerId: string;
  {
    await using hop = await PodwireHop.start('runtime', [...flags, '--leave-containers']);
    await using cri = new CriClient(hop.address);
    const { podSandboxId } = await cri.runtime.runPodSandbox({ config: { metadata } });
    ({ containerId } = await cri.runtime.createContainer({ podSandboxId, config }));
    await cri.runtime.startContainer({ containerId });
  }
  expect(processesWith(mark)).not.toEqual([]);
  {
    await using hop = await PodwireHop.start('runtime', flags);
    await using cri = new CriClient(hop.address);
    const { status } = await cri.runtime.containerStatus({ containerId });
    expect(status?.state).toBe(ContainerState.CONTAINER_RUNNING);
  }
  expect(processesWith(mark)).toEqual([]);
  expect(readdirSync(stateDir)).toEqual([]);
  rmSync(stateDir, { recursive: true });
});
