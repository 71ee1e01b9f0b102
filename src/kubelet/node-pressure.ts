import { readFile, statfs } from 'node:fs/promises';
import { freemem, platform } from 'node:os';

/** Upstream's thresholds where nobody sets others: `memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%`. */
const MIN_MEMORY_BYTES = 100 * 1024 * 1024;
const MIN_DISK_SHARE = 0.1;
const MIN_INODE_SHARE = 0.05;

/** What is left on this machine; what cannot be told is absent. */
export interface NodeRoom {
  readonly memoryBytes?: number;
  readonly disk?: {
    readonly totalBytes: number;
    readonly freeBytes: number;
    readonly inodes: number;
    readonly freeInodes: number;
  };
  readonly processes?: number;
}

/** A condition of a node without its times. */
export interface NodeFinding {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** @param folder the kubelet's own: its file system is the one that pods fill */
export async function measureRoom(folder: string): Promise<NodeRoom> {
  const [disk, processes] = await Promise.all([diskOf(folder), freeProcesses()]);
  return {
    // Elsewhere memory that caches hold counts as used: that is no sign of pressure.
    ...(platform() === 'linux' ? { memoryBytes: freemem() } : {}),
    ...(disk === undefined ? {} : { disk }),
    ...(processes === undefined ? {} : { processes }),
  };
}

/** The conditions of what presses a node, in upstream's words and order; what cannot be told is left out. */
export function pressureConditions({ memoryBytes, disk, processes }: NodeRoom): NodeFinding[] {
  const conditions: NodeFinding[] = [];
  if (memoryBytes !== undefined) conditions.push(roomCondition('Memory', 'memory', memoryBytes < MIN_MEMORY_BYTES));
  if (disk !== undefined) {
    const isFull = disk.freeBytes < disk.totalBytes * MIN_DISK_SHARE || disk.freeInodes < disk.inodes * MIN_INODE_SHARE;
    conditions.push({
      type: 'DiskPressure',
      status: isFull ? 'True' : 'False',
      reason: isFull ? 'KubeletHasDiskPressure' : 'KubeletHasNoDiskPressure',
      message: isFull ? 'kubelet has disk pressure' : 'kubelet has no disk pressure',
    });
  }
  // Upstream has no threshold there: only a machine that can start nothing more is pressed.
  if (processes !== undefined) conditions.push(roomCondition('PID', 'PID', processes <= 0));
  return conditions;
}

function roomCondition(what: string, text: string, isPressed: boolean): NodeFinding {
  const amount = isPressed ? 'insufficient' : 'sufficient';
  return {
    type: `${what}Pressure`,
    status: isPressed ? 'True' : 'False',
    reason: `KubeletHas${isPressed ? 'Insufficient' : 'Sufficient'}${what}`,
    message: `kubelet has ${amount} ${text} available`,
  };
}

async function diskOf(folder: string): Promise<NodeRoom['disk']> {
  try {
    const { blocks, bavail, bsize, files, ffree } = await statfs(folder);
    if (blocks === 0) return undefined;
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize, inodes: files, freeInodes: ffree };
  } catch {
    return undefined;
  }
}

/** How many more processes and threads Linux would take. */
async function freeProcesses(): Promise<number | undefined> {
  try {
    const [most, load] = await Promise.all([
      readFile('/proc/sys/kernel/pid_max', 'utf8'),
      readFile('/proc/loadavg', 'utf8'),
    ]);
    const threads = /\/(\d+) /.exec(load)?.[1];
    return threads === undefined ? undefined : Number(most) - Number(threads);
  } catch {
    return undefined;
  }
}
