import type { Buffer } from 'node:buffer';
import type { Readable } from 'node:stream';

/** The container that a command runs in. */
export interface ContainerRef {
  readonly pod: string;
  /** Default: `default`. */
  readonly namespace?: string;
  /** Default: the pod's first. */
  readonly container?: string;
}

/** One command, as any client can be asked for it. */
export interface ExecRequest extends ContainerRef {
  readonly argv: readonly string[];
  /** Given: stdin is forwarded, and its end too. Default: no stdin. */
  readonly stdin?: Uint8Array | Readable;
  /** Takes stdout chunk by chunk and holds it back until its promise settles; then `stdout` of the result is empty. */
  readonly onStdout?: (chunk: Buffer) => void | Promise<void>;
  /** The client is gone at once, as by `kill -9`; the promise settles either way. */
  readonly signal?: AbortSignal;
  /** Default 60,000 ms. */
  readonly deadlineMs?: number;
}

export interface ExecResult {
  readonly stdout: Buffer;
  /** What the command wrote, and for a program such as kubectl what it says itself. */
  readonly stderr: Buffer;
  /** As the client reports it: a program's own exit code, null when a signal ended it. */
  readonly exitCode: number | null;
}

/** A program with its arguments and environment, ready to be started. */
export interface CommandLine {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** A client of the exec path, real or ours, bound to one server. */
export interface ExecClient {
  /** Such as `kubectl 1.32 over SPDY`. */
  readonly name: string;
  exec(request: ExecRequest): Promise<ExecResult>;
  /** The program that runs `argv` with `-it` at a terminal; absent when the client is a library. */
  readonly interactive?: (request: ContainerRef & { readonly argv: readonly string[] }) => CommandLine;
}

/** The exit code that a Status says; 1 for a failure of the path, which is how kubectl ends then. */
export function exitCodeOf(status: {
  readonly status?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
}): number {
  if (status.status === 'Success') return 0;
  const cause = status.details?.causes?.find(({ reason }) => reason === 'ExitCode');
  return cause === undefined ? 1 : Number(cause.message);
}
