import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { User } from '../identity/index.ts';
import type { PodLocation } from './pod-location.ts';

/** The subresources of a pod that take an upgraded connection. */
export type ConnectSubresource = 'exec' | 'attach' | 'portforward';

/** An upgrade of a pod's streaming subresource, asked for by somebody who may. No byte has been answered yet. */
export interface ConnectRequest {
  readonly request: IncomingMessage;
  /** A TLS socket but for plain HTTP. It has an error listener and is destroyed when the server's grace is over. */
  readonly socket: Socket;
  /** What the client sent behind the request. */
  readonly head: Buffer;
  readonly user: User;
  readonly namespace: string;
  /** The pod's name. */
  readonly pod: string;
  readonly subresource: ConnectSubresource;
  /** The raw query: `command`, `container`, `stdin` … */
  readonly query: URLSearchParams;
  /** The session's id at every hop: goes into `Audit-Id`. */
  readonly auditId: string;
  /** Aborts when the server begins to close: sessions should end then. */
  readonly signal: AbortSignal;
  /**
   * Finds the kubelet and the container, with the server's address types and port.
   *
   * @param container default: the query's `container`
   * @throws what findPodLocation throws
   */
  findLocation(container?: string): Promise<PodLocation>;
  /**
   * Answers with the Status of `error` instead of an upgrade, with the usual headers, and closes the connection once
   * the client has had time to read it. Only before any byte has been written; never rejects.
   */
  refuse(error: unknown): Promise<void>;
}

/**
 * Serves one upgrade; settles when the session is over. It owns the socket from its first written byte on: rejecting
 * before that is answered as by `refuse`, rejecting after it destroys the socket.
 */
export type ConnectHandler = (connect: ConnectRequest) => Promise<void>;
