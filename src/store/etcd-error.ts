import { type ErrorCode, ExecPathError } from '../common/errors.ts';
import { type CallFailure, grpcCodeName, grpcCodes } from '../grpc/index.ts';

/** What etcd says, in its own words, and what it means here. */
const words: readonly (readonly [pattern: RegExp, code: ErrorCode])[] = [
  [/required revision has been compacted/, 'ERR_REVISION_COMPACTED'],
  [/required revision is a future revision/, 'ERR_REVISION_FUTURE'],
  [/database space exceeded/, 'ERR_STORE_FULL'],
  [/request is too large|trying to send message larger/, 'ERR_BODY_TOO_LARGE'],
  [/too many requests/, 'ERR_TOO_MANY_REQUESTS'],
];

/** A call to etcd failed. */
export class EtcdCallError extends ExecPathError {
  readonly grpcCode: number;
  /** Said before anything was done: it lost its leader or never got the call. */
  readonly wasRefused: boolean;

  constructor({ grpcCode, description, rpc, cause, aborted }: CallFailure, server: string) {
    const code = words.find(([pattern]) => pattern.test(description))?.[1] ?? 'ERR_STORE_UNAVAILABLE';
    super(
      aborted ? 'ERR_ABORTED' : code,
      `etcd at ${server}, ${rpc}: ${description} (${grpcCodeName(grpcCode)})`,
      aborted ? { cause } : { cause, hop: 'apiserver' },
    );
    this.grpcCode = grpcCode;
    this.wasRefused = /etcdserver: no leader|No connection established/.test(description);
  }

  /** Another server may do better. */
  get isServerAway(): boolean {
    return this.code === 'ERR_STORE_UNAVAILABLE' && this.grpcCode === grpcCodes.Unavailable;
  }
}
