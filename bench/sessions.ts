import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { exec, openServer } from '../src/client/index.ts';
import { spdyOffer } from '../src/common/subprotocols.ts';
import { dialSpdy } from '../src/httpstream/index.ts';
import { openStreamSet, type RemoteCommand, runRemoteCommand } from '../src/remotecommand/index.ts';
import { BENCH_POD, type BenchRuntime } from './bench-runtime.ts';
import type { HopPath } from './hop-path.ts';

export interface SessionRequest {
  readonly command: readonly string[];
  readonly stdin?: boolean;
  readonly tty?: boolean;
}

/** What a measured session offers, whichever way it went. */
export type Session = Pick<RemoteCommand, 'stdin' | 'stdout' | 'stderr' | 'completed' | 'closed' | 'abort'>;

/** Opens a session: from nothing to streams that are open. */
export type OpenSession = (request: SessionRequest) => Promise<Session>;

/** Our client, our apiserver, our kubelet. */
export function throughHops(path: HopPath, transport: 'spdy' | 'websocket'): OpenSession {
  return (request) => exec({ api: path.transport, transport, ...BENCH_POD, stderr: !request.tty, ...request });
}

/** Our client and our kubelet, without an apiserver. */
export async function throughKubelet({ kubelet, kubeconfig, url }: HopPath): Promise<OpenSession> {
  const address = new URL(url);
  address.port = String(await kubelet.ask<number>('port'));
  const api = await openServer({ kubeconfig, kubelet: address });
  return (request) => exec({ api, transport: 'spdy', ...BENCH_POD, stderr: !request.tty, ...request });
}

/**
 * Our client over SPDY at one plain TCP relay before the streaming server, or without a port at that server itself. The runtime is asked for the URL as a kubelet
 * asks for it: that belongs to every way there is.
 */
export function throughRelay({ cri, containerId }: BenchRuntime, relayPort?: number): OpenSession {
  return async ({ command, stdin = false, tty = false }) => {
    const url = await cri.execUrl({ containerId, argv: command, stdin, tty });
    const socket = connect({ host: '127.0.0.1', port: relayPort ?? Number(url.port), noDelay: true });
    await once(socket, 'connect');
    const { session, protocol } = await dialSpdy(socket, {
      path: url.pathname + url.search,
      headers: [['Host', url.host]],
      protocols: spdyOffer,
    });
    return runRemoteCommand(await openStreamSet(session, protocol, { stdin, stdout: true, stderr: !tty, tty }));
  };
}

/** How long one command of a bench may take, in ms. */
const COMMAND_TIMEOUT_MS = 60_000;

/** Runs a command that says nothing, and gives the milliseconds from the first step to its Status. @throws Error unless it exits 0 */
export async function timeToStatus(open: OpenSession, command: readonly string[]): Promise<number> {
  const start = performance.now();
  const session = await open({ command });
  session.stdout?.resume();
  session.stderr?.resume();
  const guard = new AbortController();
  const late = delay(COMMAND_TIMEOUT_MS, undefined, { signal: guard.signal, ref: false }).then(
    () => session.abort(),
    () => {},
  );
  const outcome = await session.completed;
  const elapsed = performance.now() - start;
  guard.abort();
  await Promise.all([late, session.closed]);
  if (outcome.kind !== 'exited' || outcome.code !== 0) {
    throw new Error(`${command.join(' ')} did not exit 0: ${JSON.stringify(outcome)}`);
  }
  return elapsed;
}
