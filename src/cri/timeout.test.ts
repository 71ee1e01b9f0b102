import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { deadlineAfter } from '../grpc/index.ts';
import {
  CheckpointContainerRequestSchema,
  ExecSyncRequestSchema,
  GetEventsRequestSchema,
  PullImageRequestSchema,
  RunPodSandboxRequestSchema,
  StatusRequestSchema,
  StopContainerRequestSchema,
  StreamContainersRequestSchema,
} from './gen/runtime/v1/api_pb.ts';
import { callTimeoutMs, DEFAULT_CALL_TIMEOUT_MS } from './timeout.ts';

function timeoutOf<Schema extends DescMessage>(rpc: string, schema: Schema, init: MessageInitShape<Schema>): number {
  return callTimeoutMs(rpc, create(schema, init), DEFAULT_CALL_TIMEOUT_MS);
}

describe('callTimeoutMs', () => {
  it('is two minutes for most calls, streamed lists too', () => {
    expect(timeoutOf('Status', StatusRequestSchema, {})).toBe(120_000);
    expect(timeoutOf('StreamContainers', StreamContainersRequestSchema, {})).toBe(120_000);
  });

  it('is twice that for RunPodSandbox', () => {
    expect(timeoutOf('RunPodSandbox', RunPodSandboxRequestSchema, {})).toBe(240_000);
  });

  it('adds the seconds that the runtime itself is given', () => {
    expect(timeoutOf('StopContainer', StopContainerRequestSchema, { timeout: 30n })).toBe(150_000);
    expect(timeoutOf('StopContainer', StopContainerRequestSchema, { timeout: 0n })).toBe(120_000);
    expect(timeoutOf('StopContainer', StopContainerRequestSchema, { timeout: -5n })).toBe(120_000);
    const longest = timeoutOf('StopContainer', StopContainerRequestSchema, { timeout: 2n ** 63n - 1n });
    expect(deadlineAfter(longest) - Date.now()).toBeLessThan(2 ** 31 - 1000);
    expect(timeoutOf('ExecSync', ExecSyncRequestSchema, { timeout: 1n })).toBe(121_000);
    expect(timeoutOf('CheckpointContainer', CheckpointContainerRequestSchema, { timeout: 60n })).toBe(180_000);
  });

  it('is none for image pulls, events and an ExecSync without a limit', () => {
    expect(timeoutOf('PullImage', PullImageRequestSchema, {})).toBe(Number.POSITIVE_INFINITY);
    expect(timeoutOf('GetContainerEvents', GetEventsRequestSchema, {})).toBe(Number.POSITIVE_INFINITY);
    expect(timeoutOf('ExecSync', ExecSyncRequestSchema, { timeout: 0n })).toBe(Number.POSITIVE_INFINITY);
  });
});
