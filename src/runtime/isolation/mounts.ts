import { readFileSync } from 'node:fs';
import { runTool } from './tool.ts';

/** Mount points of this mount namespace at `folder` or below, the newest last. */
export function mountsBelow(folder: string): string[] {
  const points = readMounts()
    .split('\n')
    .map((line) => unescaped(line.split(' ', 5)[4] ?? ''));
  return points.filter((point) => point === folder || point.startsWith(`${folder}/`));
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

/** Spaces and the like are `\040` there. */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_whole, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
