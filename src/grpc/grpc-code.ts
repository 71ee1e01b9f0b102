/**
 * The gRPC status codes by Go's names, as they stand in `rpc error: code = …`.
 *
 * A runtime that answers with NotFound, InvalidArgument, Unimplemented, Unavailable, DeadlineExceeded,
 * ResourceExhausted, AlreadyExists and Unknown behaves as containerd does.
 *
 * @see cri.md 4.3
 */
export const grpcCodes = {
  OK: 0,
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;

export type GrpcCodeName = keyof typeof grpcCodes;
export type GrpcCode = (typeof grpcCodes)[GrpcCodeName];

const names = new Map<number, string>(Object.entries(grpcCodes).map(([name, code]) => [code, name]));

/** Go's name of `code`; `Code(99)` for a number that gRPC does not define, as Go prints it. */
export function grpcCodeName(code: number): string {
  return names.get(code) ?? `Code(${code})`;
}
