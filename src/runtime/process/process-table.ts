import { readdirSync, readFileSync } from 'node:fs';

/** Ticks of `starttime` in a second: USER_HZ, 100 on every platform that Node runs on. */
const TICKS_PER_SECOND = 100;

/** One line of the process table, from /proc. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  /** Id of the session (setsid(2)), the pid of its first process. */
  readonly session: number;
  /** Ticks since boot; pid and start together name a process for good. */
  readonly startTicks: number;
  /** Dead, and only waiting for its parent to ask for the exit code. */
  readonly isZombie: boolean;
}

/** Pids of all processes, or none where there is no /proc. */
export function listPids(): number[] {
  try {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => Number.isInteger(pid));
  } catch {
    return [];
  }
}

/** @returns undefined when there is no such process */
export function readProcess(pid: number): ProcessEntry | undefined {
  const stat = readProc(`${pid}/stat`)?.toString('latin1');
  if (stat === undefined) return undefined;
  // The name in parentheses may hold spaces and parentheses itself; after it: state, ppid, pgrp, session, …
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    pid,
    parent: Number(fields[1]),
    session: Number(fields[3]),
    startTicks: Number(fields[19]),
    isZombie: fields[0] === 'Z' || fields[0] === 'X',
  };
}

/** The environment that the process was started with; empty when it is not ours to read. */
export function readEnvironment(pid: number): Buffer {
  return readProc(`${pid}/environ`) ?? Buffer.alloc(0);
}

/** Now, in the unit of {@link ProcessEntry.startTicks}. */
export function ticksSinceBoot(): number {
  const uptime = Number.parseFloat(readProc('uptime')?.toString('latin1') ?? '0');
  return Math.floor(uptime * TICKS_PER_SECOND);
}

/** The pid given to the newest process or thread of all, or undefined. */
export function newestPid(): number | undefined {
  const pid = Number(readProc('loadavg')?.toString('latin1').trim().split(' ')[4]);
  return Number.isInteger(pid) ? pid : undefined;
}

function readProc(name: string): Buffer | undefined {
  try {
    return readFileSync(`/proc/${name}`);
  } catch {
    return undefined;
  }
}

/** Ticks since boot at which `pid` started, or undefined when no such process lives. */
export function processStart(pid: number): number | undefined {
  const entry = readProcess(pid);
  return entry?.isZombie === false ? entry.startTicks : undefined;
}

/** Names this run of the machine: pids and ticks of another one mean nothing. */
export function bootId(): string {
  return readProc('sys/kernel/random/boot_id')?.toString('latin1').trim() ?? '';
}

/** Pids of the living children of `pid`, oldest first. */
export function childrenOf(pid: number): number[] {
  const listed = readProc(`${pid}/task/${pid}/children`);
  if (listed !== undefined) return listed.toString('latin1').split(' ').filter(Boolean).map(Number);
  return listPids().filter((candidate) => readProcess(candidate)?.parent === pid);
}
