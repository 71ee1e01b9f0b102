import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** One row of /proc. */
export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  /** argv joined by spaces; empty for a kernel thread or a zombie. */
  readonly command: string;
  /** R, S, D, T, Z … as in proc(5). */
  readonly state: string;
}

/** All processes of this machine; those that end while it reads are left out. */
export function processTable(): ProcessRow[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const row = rowOf(Number(name));
      return row === undefined ? [] : [row];
    });
}

/** Living processes whose command line or environment holds `marker`; this process and zombies are not counted. */
export function processesWith(marker: string): ProcessRow[] {
  return processTable().filter(({ pid, command, state }) => {
    if (pid === process.pid || state === 'Z') return false;
    return command.includes(marker) || (read(`/proc/${pid}/environ`) ?? '').includes(marker);
  });
}

/** `roots` and everything below them, parents first. */
export function withDescendants(roots: readonly number[]): number[] {
  const table = processTable();
  const found = [...roots];
  for (let index = 0; index < found.length; index += 1) {
    found.push(...table.filter(({ parent }) => parent === found[index]).map(({ pid }) => pid));
  }
  return found;
}

/** Resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kib === undefined) throw new Error(`/proc/${pid}/status has no VmRSS`);
  return Number(kib) * 1024;
}

/** User and system time that a process has used, in seconds. */
export function cpuSeconds(pid: number): number {
  const [user, system] = statFields(readFileSync(`/proc/${pid}/stat`, 'utf8')).slice(11, 13);
  return (Number(user) + Number(system)) / CLOCK_TICKS;
}

/** USER_HZ is 100 on every Linux that Node runs on. */
const CLOCK_TICKS = 100;

/** When a process started, in clock ticks since boot; undefined when it is gone. */
export function startTime(pid: number): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : Number(statFields(stat)[19]);
}

/** What each open descriptor of a process points to, such as `socket:[123]` or `/dev/null`. */
export function descriptors(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

function rowOf(pid: number): ProcessRow | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const [state, parent] = statFields(stat);
  const command = (read(`/proc/${pid}/cmdline`) ?? '').replaceAll('\0', ' ').trim();
  return { pid, parent: Number(parent), command, state: state ?? '?' };
}

/** Fields of /proc/PID/stat from the third on: the second, the name, may hold spaces and parentheses. */
function statFields(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
