import type { ProcessExit } from './process/index.ts';

/** Of a container whose end nobody saw. */
export const UNKNOWN_CODE = 255;

/** How a container ended, or never began: exit code 128, reason `StartError`. Times in ns since the epoch, 0 for never. */
export interface Ending {
  readonly startedAt: bigint;
  readonly finishedAt: bigint;
  readonly exitCode: number;
  readonly reason: 'Completed' | 'Error' | 'OOMKilled' | 'StartError' | 'Unknown';
  readonly message: string;
}

/** The kernel killed in it because the memory was all used. */
export function outOfMemory(ending: Ending): Ending {
  return ending.reason === 'Error' ? { ...ending, reason: 'OOMKilled' } : ending;
}

/** Of a process that has ended. */
export function endingOf({ code, at, isLost }: ProcessExit): Omit<Ending, 'startedAt'> {
  const finishedAt = at ?? nowNs();
  if (isLost === true) {
    const message = 'its end was not seen: who kept it was killed';
    return { finishedAt, exitCode: code, reason: 'Unknown', message };
  }
  return { finishedAt, exitCode: code, reason: code === 0 ? 'Completed' : 'Error', message: '' };
}

/** Now, in ns since the epoch. */
export function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
