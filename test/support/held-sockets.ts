import { readFileSync } from 'node:fs';

/** TCP_LISTEN in the table of the kernel. */
const LISTEN = '0A';

export interface SocketPorts {
  /** Connections accepted here count. */
  readonly local: readonly number[];
  /** Connections dialed to here count. */
  readonly remote: readonly number[];
}

/** IPv4 connections that a process still holds, listeners not counted: `local → remote` ports of each. */
export function heldSockets({ local, remote }: SocketPorts): string[] {
  const [, ...rows] = readFileSync('/proc/net/tcp', 'utf8').trim().split('\n');
  return rows.flatMap((row) => {
    const [, from = '', to = '', state, , , , , , inode] = row.trim().split(/\s+/);
    const [fromPort, toPort] = [portOf(from), portOf(to)];
    // Inode 0: closed by its process, the kernel alone still says goodbye.
    if (state === LISTEN || inode === '0') return [];
    return local.includes(fromPort) || remote.includes(toPort) ? [`${fromPort} → ${toPort}`] : [];
  });
}

function portOf(address: string): number {
  return Number.parseInt(address.split(':')[1] ?? '', 16);
}
