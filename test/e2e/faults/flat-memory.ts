import { Buffer } from 'node:buffer';
import { Readable } from 'node:stream';
import { exec } from '../../../src/client/index.ts';
import { CONTAINER, podNames } from './chain-pods.ts';
import { transportTo } from './endpoint.ts';
import { type HopProcesses, hopNames } from './hop-processes.ts';

const MIB = 1024 * 1024;
/** Fills what each hop keeps for its next session anyway. */
const WARM_UP_MIB = 32;
const LOOK_EVERY_MS = 50;

/** Both ways at once, by each transport, translated or not. */
export const memoryWays = (['websocket', 'spdy'] as const).flatMap((transport) =>
  Object.values(podNames).map((pod) => ({ transport, pod })),
);
export type MemoryWay = (typeof memoryWays)[number];

/** Sends `mebibytes` through all hops and back. @returns what each hop's memory grew by at its highest, in MiB */
export async function memoryGrowth(
  hops: HopProcesses,
  way: MemoryWay,
  mebibytes: number,
): Promise<Record<string, number>> {
  await echo(hops, way, WARM_UP_MIB);
  const before = new Map(hopNames.map((name) => [name, hops.residentBytes(name)]));
  const highest = new Map(before);
  const look = setInterval(() => {
    for (const name of hopNames) highest.set(name, Math.max(highest.get(name) ?? 0, hops.residentBytes(name)));
  }, LOOK_EVERY_MS);
  try {
    await echo(hops, way, mebibytes);
  } finally {
    clearInterval(look);
  }
  return Object.fromEntries(
    hopNames.map((name) => [name, Math.round(((highest.get(name) ?? 0) - (before.get(name) ?? 0)) / MIB)]),
  );
}

/** @throws Error when not every byte came back */
async function echo({ apiserver }: HopProcesses, { transport, pod }: MemoryWay, mebibytes: number): Promise<void> {
  const api = transportTo(apiserver);
  const command = ['cat'];
  const session = await exec({ api, pod, container: CONTAINER, command, transport, stdin: true });
  session.stderr?.resume();
  let bytes = 0;
  session.stdout?.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  const block = Buffer.alloc(MIB, 'podwire\n');
  if (session.stdin !== undefined) Readable.from(Array.from({ length: mebibytes }, () => block)).pipe(session.stdin);
  const outcome = await session.completed;
  if (outcome.kind !== 'exited' || outcome.code !== 0 || bytes !== mebibytes * MIB) {
    throw new Error(`${outcome.kind} ${outcome.code} with ${bytes} bytes of ${mebibytes} MiB`);
  }
}
