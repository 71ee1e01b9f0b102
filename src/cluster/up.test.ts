import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startCluster } from './up.ts';

it('waits for its node no longer than its caller does, and gives its folder back', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'podwire-cluster-'));
  const stop = new AbortController();
  const problems: string[] = [];
  const starting = startCluster({
    stateDir,
    securePort: 0,
    version: '0',
    // No apiserver takes a node of this name, however often the kubelet asks.
    nodeName: 'not_a_name',
    onProblem: (message) => {
      problems.push(message);
      if (message.startsWith('node registration')) stop.abort();
    },
    signal: stop.signal,
  });
  await expect(starting).rejects.toMatchObject({
    code: 'ERR_ABORTED',
    message: 'stopped before the node was registered',
  });
  expect(problems).toContainEqual(expect.stringContaining('not_a_name'));
  expect(existsSync(join(stateDir, 'up.pid'))).toBe(false);
  rmSync(stateDir, { recursive: true });
});
