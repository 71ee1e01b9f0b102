import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The mounts of each mount namespace on this machine that we may look into, as `/proc/<pid>/mounts` has them. */
export function mountTables(): string[] {
  const seen = new Set<string>();
  return ['self', ...pids()].flatMap((pid) => {
    try {
      const namespace = readlinkSync(`/proc/${pid}/ns/mnt`);
      if (seen.has(namespace)) return [];
      const table = unescaped(readFileSync(`/proc/${pid}/mounts`, 'utf8'));
      seen.add(namespace);
      return [table];
    } catch {
      // It has ended, or is somebody else's.
      return [];
    }
  });
}

function pids(): string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

/** Blanks and the like are `\040` there, and in the options of an overlay once more. */
function unescaped(text: string): string {
  const once = (escaped: string): string =>
    escaped.replace(/\\([0-7]{3})/g, (_whole, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
  return once(once(text));
}
