import { readFileSync } from 'node:fs';
import { mountPointsBelow } from '../../common/mount-table.ts';
import { runTool } from './tool.ts';

/** Mount points of this mount namespace at `folder` or below, the newest last. */
export function mountsBelow(folder: string): string[] {
  return mountPointsBelow(readMounts(), folder);
}

/** Empty where there is no /proc. */
function readMounts(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return '';
  }
}

/**
 * Unmounts everything at `folder` and below, also what is in use: it goes when its last user goes.
 *
 * @throws ExecPathError ERR_ISOLATION when something is still mounted; what somebody else unmounts meanwhile is not
 */
export async function unmountBelow(folder: string): Promise<void> {
  const points = mountsBelow(folder).toReversed();
  if (points.length === 0) return;
  try {
    await runTool(['umount', '-l', '--', ...points]);
  } catch (thrown) {
    if (mountsBelow(folder).length > 0) throw thrown;
  }
}
