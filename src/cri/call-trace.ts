import { channel } from 'node:diagnostics_channel';
import { grpcCodes } from '../grpc/index.ts';
import type { RuntimeCallError } from './call-error.ts';

/** One finished CRI call, as subscribers of the diagnostics channel `exec:cri:call` get it. */
export interface CallTrace {
  readonly side: 'client' | 'server';
  /** Where the runtime listens; undefined on the server's side. */
  readonly endpoint?: string;
  readonly rpc: string;
  /** ms from the call to its end; for a stream, to the end of the stream */
  readonly durationMs: number;
  readonly grpcCode: number;
  readonly description: string;
}

const calls = channel('exec:cri:call');

/** Publishes a call that began at `startedAt` (of `performance.now()`) and ends now; costs nothing without a subscriber. */
export function publishCall(
  call: Pick<CallTrace, 'side' | 'endpoint' | 'rpc'>,
  startedAt: number,
  failure: Pick<RuntimeCallError, 'grpcCode' | 'description'> | undefined,
): void {
  if (!calls.hasSubscribers) return;
  const trace: CallTrace = {
    ...call,
    durationMs: performance.now() - startedAt,
    grpcCode: failure?.grpcCode ?? grpcCodes.OK,
    description: failure?.description ?? '',
  };
  calls.publish(trace);
}
