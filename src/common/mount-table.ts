/**
 * Mount points at `folder` or below, the newest last.
 *
 * @param table text as in `/proc/self/mountinfo`
 * @param folder absolute and without links: the kernel knows none
 * @see proc_pid_mountinfo(5)
 */
export function mountPointsBelow(table: string, folder: string): string[] {
  const points = table.split('\n').map((line) => spelledOut(line.split(' ', 5)[4] ?? ''));
  return points.filter((point) => point === folder || point.startsWith(`${folder}/`));
}

/** Spaces and the like are `\040` there. */
function spelledOut(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_whole, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
