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
