import { ExecPathError } from '../common/errors.ts';
import type { CheckpointContainerRequest, ExecSyncRequest, StopContainerRequest } from './gen/runtime/v1/api_pb.ts';
import type { CriMessage } from './service.ts';

/** What the kubelet calls `runtimeRequestTimeout`, in ms. */
export const DEFAULT_CALL_TIMEOUT_MS = 120_000;

/**
 * How long a call may take: the kubelet's rules.
 *
 * `RunPodSandbox` gets twice the default; `StopContainer`, `ExecSync` and `CheckpointContainer` the seconds that they
 * ask the runtime for and the default on top, so that the runtime's own limit comes first; `PullImage`, event streams
 * and an `ExecSync` without a limit get none and end by their AbortSignal.
 *
 * @param rpc such as `StopContainer`
 * @returns milliseconds; Infinity for no limit
 * @see cri.md 5
 */
export function callTimeoutMs(rpc: string, request: CriMessage, defaultMs: number): number {
  switch (rpc) {
    case 'RunPodSandbox':
      return 2 * defaultMs;
    case 'StopContainer':
      return defaultMs + secondsAsMs((request as StopContainerRequest).timeout);
    case 'CheckpointContainer':
      return defaultMs + secondsAsMs((request as CheckpointContainerRequest).timeout);
    case 'ExecSync': {
      const { timeout } = request as ExecSyncRequest;
      return timeout === 0n ? Number.POSITIVE_INFINITY : defaultMs + secondsAsMs(timeout);
    }
    case 'PullImage':
    case 'GetContainerEvents':
      return Number.POSITIVE_INFINITY;
    default:
      return defaultMs;
  }
}

function secondsAsMs(seconds: bigint): number {
  return Math.max(0, Number(seconds)) * 1000;
}

/** Timers hold at most 2^31-1 ms; a gRPC library whose timer overflows fails the call at once. */
const MAX_TIMEOUT_MS = 24 * 24 * 3_600_000;

/**
 * The moment, in ms since the epoch, at which a call that begins now has taken `timeoutMs`; Infinity for never. More
 * than 24 days become 24 days.
 *
 * @throws ExecPathError ERR_BAD_REQUEST
 */
export function deadlineAfter(timeoutMs: number): number {
  if (!(timeoutMs >= 0)) {
    throw new ExecPathError('ERR_BAD_REQUEST', `a call's timeout is 0 ms or more, not ${timeoutMs}`);
  }
  return Date.now() + (timeoutMs === Number.POSITIVE_INFINITY ? timeoutMs : Math.min(timeoutMs, MAX_TIMEOUT_MS));
}
