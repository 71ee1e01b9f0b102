import { readFileSync } from 'node:fs';
import { runTool } from './tool.ts';

/** Mount points of this mount namespace at `folder` or below, the newest last. */
export function mountsBelow(folder: string): string[] {
  const points = readMounts()
    .split('\n')
    .map((line) => unescaped(line.split(' ')[4] ?? ''));
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

/** Unmounts everything at `folder` and below, also what is in use: it goes when its last user goes. */
export async function unmountBelow(folder: string): Promise<void> {
  for (const point of mountsBelow(folder).toReversed()) await unmount(point);
}

/** One that somebody else has unmounted meanwhile is as it is to be. */
async function unmount(point: string): Promise<void> {
  try {
    await runTool(['umount', '-l', point]);
  } catch (thrown) {
    if (mountsBelow(point).includes(point)) throw thrown;
  }
}

/** Spaces and the like are `\040` there. */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_whole, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
