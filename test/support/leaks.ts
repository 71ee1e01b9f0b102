import { setTimeout as delay } from 'node:timers/promises';
import { descriptors, processesWith } from './process-table.ts';

/** What a process holds, and what runs with a marker, at one moment. */
export interface Holdings {
  /** Command lines of living processes with the marker. */
  readonly processes: readonly string[];
  /** Open descriptors that are not sockets, without `/dev/null`, which programs open once and keep. */
  readonly files: number;
  readonly sockets: number;
}

/** Counts what `pid` holds, and the processes whose command line or environment has `marker`. */
export function holdings(pid: number, marker?: string): Holdings {
  const open = descriptors(pid).filter((target) => target !== '/dev/null');
  const sockets = open.filter((target) => target.startsWith('socket:')).length;
  return {
    processes: marker === undefined ? [] : processesWith(marker).map(({ command }) => command),
    files: open.length - sockets,
    sockets,
  };
}

/** Between two looks, in ms. */
const LOOK_EVERY_MS = 50;

/**
 * Waits until `pid` holds no more than it did `before`: closing is asynchronous, leaking is for ever.
 *
 * @throws Error with both counts when that does not happen within `deadlineMs` (default 10,000)
 */
export async function expectNothingLeft(
  pid: number,
  before: Holdings,
  options: { readonly marker?: string; readonly deadlineMs?: number } = {},
): Promise<void> {
  const deadline = Date.now() + (options.deadlineMs ?? 10_000);
  for (;;) {
    const now = holdings(pid, options.marker);
    const isBack =
      now.processes.length <= before.processes.length && now.files <= before.files && now.sockets <= before.sockets;
    if (isBack) return;
    if (Date.now() > deadline) {
      throw new Error(`process ${pid} leaks: before ${JSON.stringify(before)}, now ${JSON.stringify(now)}`);
    }
    await delay(LOOK_EVERY_MS);
  }
}
