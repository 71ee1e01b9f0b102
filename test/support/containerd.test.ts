import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Containerd } from './containerd.ts';
import { removeOrphans } from './containerd-remains.ts';
import { CriCaller } from './cri-caller.ts';
import { describeWithPeer } from './peer.ts';
import { processesWith } from './process-table.ts';

describeWithPeer('containerd', 'a private containerd', () => {
  it('runs pods with and without a network of their own, and leaves nothing behind', async () => {
    const containerd = await Containerd.start({ tcp: true });
    const { directory, socket } = containerd;
    try {
      const pod = await containerd.runPod({ name: 'web' });
      const hostPod = await containerd.runPod({ name: 'host', network: 'host' });
      expect(await containerd.cri.podAddress(pod.sandboxId)).toMatch(/^10\./);
      expect(await containerd.cri.podAddress(hostPod.sandboxId)).toBe('');
      expect(await containerd.ctr('task', 'exec', '--exec-id', 'x', pod.containerId, 'hostname')).toBe('web\n');
      expect((await containerd.cri.execUrl({ containerId: pod.containerId, argv: ['true'] })).hostname).toBe(
        '127.0.0.1',
      );
      using overTcp = new CriCaller(containerd.tcpAddress!);
      expect((await overTcp.version())[0]).toBe('containerd');
    } finally {
      await containerd.dispose();
    }
    expect(existsSync(directory)).toBe(false);
    expect(processesWith(socket)).toEqual([]);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(directory);
  });

  it('ends shims and containers whose daemon was killed', async () => {
    const containerd = await Containerd.start();
    await containerd.runPod({ name: 'orphan', network: 'host', env: { MARKER: containerd.directory } });
    expect(processesWith(`MARKER=${containerd.directory}`)).toHaveLength(1);
    await containerd.killDaemon();
    await containerd.dispose();
    expect(processesWith(containerd.directory)).toEqual([]);
    expect(existsSync(containerd.directory)).toBe(false);
  });

  it('removes what an owner that is gone left running, and nothing else', async () => {
    await using living = await Containerd.start();
    const orphan = await Containerd.start();
    await orphan.runPod({ name: 'orphan', network: 'host' });
    writeFileSync(`${orphan.directory}/owner`, '1 12345');
    await removeOrphans();
    // Another run on this machine may have been first, and be at it still.
    await expect.poll(() => existsSync(orphan.directory), { timeout: 10_000 }).toBe(false);
    expect(processesWith(orphan.directory)).toEqual([]);
    expect(await living.cri.sandboxIds()).toEqual([]);
    await orphan.dispose();
  });
});
