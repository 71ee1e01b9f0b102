import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRuntime } from '../../../src/runtime/index.ts';
import { startTime } from '../../support/process-table.ts';

/** Directories of chains, in this process and in processes of their own. */
export const CHAIN_PREFIX = 'podwire-chain-';
export const HOPS_PREFIX = 'podwire-hops-';

/**
 * Ends what chains left whose process was killed: a runtime that starts in their directory does that. Those of living
 * processes are let alone.
 */
export async function clearEarlierRuns(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(CHAIN_PREFIX) && !name.startsWith(HOPS_PREFIX)) continue;
    const stateDir = join(tmpdir(), name, 'runtime');
    if (!wasKilled(stateDir)) continue;
    try {
      await (await createRuntime({ stateDir })).close();
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // Another run clears the same directory: it will be done.
    }
  }
}

/** Its runtime did not release the directory, and does not live. */
function wasKilled(stateDir: string): boolean {
  try {
    const { pid, startTicks } = JSON.parse(readFileSync(join(stateDir, 'runtime.json'), 'utf8')) as Record<
      string,
      number
    >;
    return pid !== undefined && startTime(pid) !== startTicks;
  } catch {
    return false;
  }
}
