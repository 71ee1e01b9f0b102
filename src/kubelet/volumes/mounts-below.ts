import { readFile, realpath } from 'node:fs/promises';

/** Mount points below a folder, in the kubelet's mount namespace; none where there is no /proc. */
export async function mountsBelow(folder: string): Promise<string[]> {
  // The kernel knows no links.
  const real = await realpath(folder).catch(() => folder);
  const table = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  const points = table.split('\n').map((line) => line.split(' ', 5)[4] ?? '');
  return points.map(spelledOut).filter((point) => point.startsWith(`${real}/`));
}

/** A space is `\040` there. */
function spelledOut(point: string): string {
  return point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
