import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** In fdinfo's flags, as Linux has it. */
const O_CLOEXEC = 0o2000000;

/**
 * Closes what this process got from its parent and would pass on to every child, which Node does only for the lowest
 * numbers: containers must not hold descriptors of whoever started their runtime. Those that are `named`
 * (`<(…)` of a shell) stay. For commands that start containers, before they do.
 */
export function closeInherited(named: readonly string[]): void {
  const kept = new Set(named.flatMap((word) => /^\/(?:dev|proc\/self)\/fd\/(\d+)$/.exec(word)?.[1] ?? []));
  for (const name of listed()) {
    if (Number(name) <= 2 || kept.has(name) || !isInherited(name)) continue;
    try {
      closeSync(Number(name));
    } catch {
      // EBADF: it was that of the list itself.
    }
  }
}

function listed(): string[] {
  try {
    return readdirSync('/proc/self/fd');
  } catch {
    // Without /proc nobody can tell.
    return [];
  }
}

function isInherited(name: string): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${name}`, 'latin1'))?.[1] ?? '0';
    return (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
  } catch {
    return false;
  }
}
