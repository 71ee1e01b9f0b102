import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { StreamOptions } from '../common/channels.ts';

/** An upgrade request on its raw socket, as node:http hands it over. */
export interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** What a client wants to run in a container. */
export interface CommandRequest {
  readonly containerId: string;
  /** undefined: attach to the container's own process. */
  readonly argv: readonly string[] | undefined;
  readonly streams: StreamOptions;
  /** The session's id on every hop. */
  readonly sessionId: string;
  /** Aborted when the client left or the kubelet stops. */
  readonly signal: AbortSignal;
}

/** Ports of a pod that a client wants to reach. */
export interface ForwardRequest {
  readonly podSandboxId: string;
  /** For the older WebSocket form, which names its ports here; else empty, they come with the streams. */
  readonly ports: readonly number[];
  /** The session's id on every hop. */
  readonly sessionId: string;
  /** Aborted when the client left or the kubelet stops. */
  readonly signal: AbortSignal;
}

/** How a session ended for the kubelet's log; the client was told already. */
export interface SessionEnd {
  readonly how: string;
  readonly bytesUp?: number;
  readonly bytesDown?: number;
}

/**
 * A command, an attachment or a port-forward that was prepared in the runtime and waits for its client's connection.
 *
 * The kubelet does nothing with a running command but this. CRI's streaming URL is the first implementation; a runtime
 * that hands out the process itself, without a streaming server, can be another.
 */
export interface RunningCommand {
  /** Connects the client. Owns the socket from here on; never rejects. */
  serve(upgrade: Upgrade): Promise<SessionEnd>;
}

/** Where commands are started, and ports reached. */
export interface CommandStarter {
  /** @throws RuntimeCallError when the runtime refuses */
  prepare(request: CommandRequest): Promise<RunningCommand>;
  /** @throws RuntimeCallError when the runtime refuses */
  prepareForward(request: ForwardRequest): Promise<RunningCommand>;
}
