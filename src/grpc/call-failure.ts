/** Why a call failed, before the protocol that made it says what that means. */
export interface CallFailure {
  /** A number of `grpcCodes`, or what else the server sent. */
  readonly grpcCode: number;
  /** The server's own words, or ours where it never got so far. */
  readonly description: string;
  /** Such as `StartContainer`. */
  readonly rpc: string;
  readonly cause: unknown;
  /** The caller gave up: no fault of the server. */
  readonly aborted: boolean;
}

/** A call that is over. */
export interface CallEnd {
  readonly rpc: string;
  /** Of `performance.now()`. */
  readonly startedAt: number;
  /** Undefined when all went well. */
  readonly failure: CallFailure | undefined;
}
