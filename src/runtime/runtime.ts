import { connect, type Socket } from 'node:net';
import { ExecPathError } from '../common/errors.ts';
import type { TerminalSize } from '../common/terminal-size.ts';
import { type CriHandlers, grpcCodes, type HandlerContext, RuntimeCallError } from '../cri/index.ts';
import { containerCalls } from './container-calls.ts';
import { execSyncCall } from './exec-sync.ts';
import { HostImage } from './host-image.ts';
import { ImageStore } from './image/index.ts';
import { imageCalls } from './image-calls.ts';
import { Isolation, isolationObstacle } from './isolation/index.ts';
import { imageStream, listStreams } from './list-streams.ts';
import type { Attachment } from './output-hub.ts';
import { FifoPool, killMarked, type ProcessExit, type RunningProcess } from './process/index.ts';
import { restore } from './restore.ts';
import { runtimeCalls } from './runtime-calls.ts';
import { RuntimeState } from './runtime-state.ts';
import { sandboxCalls } from './sandbox-calls.ts';
import { claimStateDir } from './state-dir.ts';
import { statsCalls } from './stats-calls.ts';
import { type StreamRequests, streamingCalls } from './streaming-calls.ts';
import { StreamingTokens } from './streaming-tokens.ts';

export interface RuntimeOptions {
  /** The runtime's own directory, made 0700 when missing. One process at a time. */
  readonly stateDir: string;
  /**
   * Where the streaming server listens, such as `http://127.0.0.1:41234`; tokens are answered as
   * `<that>/<exec|attach|portforward>/<token>`. Asked for at each call; without it those calls answer Unavailable.
   */
  readonly streamingUrl?: () => string;
  /** More references that mean the host image. */
  readonly imageAliases?: readonly string[];
  /**
   * Containers of imported images, with a root file system and namespaces of their own, and pods with a network of
   * their own where CNI plugins are installed. Takes root on Linux; `auto`: where they can be had. Off by default: then
   * there is the host image alone.
   */
  readonly isolation?: boolean | 'auto';
}

/** One exec that a token stood for. */
export interface ExecTicket {
  readonly request: StreamRequests['exec'];
  /**
   * Starts the command. The caller ends what it gets: `hangUp` when its user is gone. Whatever still runs when the
   * container ends is killed with it.
   *
   * @param size of the terminal, when already known
   * @throws CommandStartError with the exit code; RuntimeCallError when the container no longer runs
   */
  start(size?: TerminalSize): Promise<RunningProcess>;
}

/** One attach that a token stood for. */
export interface AttachTicket {
  readonly request: StreamRequests['attach'];
  /** @throws RuntimeCallError when the container no longer runs */
  start(): AttachSession;
}

export interface AttachSession extends Attachment {
  resize(size: TerminalSize): void;
  /** Settles when the container has ended, after its last output went to all who are attached; never rejects. */
  readonly exited: Promise<ProcessExit>;
}

/** One port-forward that a token stood for. */
export interface PortForwardTicket {
  readonly request: StreamRequests['portforward'];
  /**
   * Connects to a port of the pod, inside its network if it has its own, else of the host: 127.0.0.1 first, then ::1.
   *
   * @throws Error of the system, such as ECONNREFUSED; the signal's reason
   */
  dial(port: number, options?: { readonly signal?: AbortSignal }): Promise<Socket>;
}

/**
 * The embedded runtime, without its servers: CRI handlers for `serveCri`, and what the tokens stand for, for the
 * streaming server. A token is used up by asking, whatever becomes of it.
 *
 * Owns: the state directory and every process of every container.
 */
export interface Runtime extends AsyncDisposable {
  readonly handlers: CriHandlers;
  exec(token: string): ExecTicket | undefined;
  attach(token: string): AttachTicket | undefined;
  portForward(token: string): PortForwardTicket | undefined;
  /** Ends every container and leaves no process, unless it is told to leave containers. Twice is once. */
  close(options?: CloseOptions): Promise<void>;
}

export interface CloseOptions {
  /** Containers run on; the next runtime in the state directory finds them. Default: they are ended. */
  readonly leaveContainers?: boolean;
}

/** @throws ExecPathError ERR_STATE_IN_USE */
export async function createRuntime(options: RuntimeOptions): Promise<Runtime> {
  const directory = await claimStateDir(options.stateDir);
  const { marker, path: stateDir } = directory;
  const image = new HostImage({ aliases: options.imageAliases ?? [] });
  const images = new ImageStore(stateDir);
  images.sweep();
  const pipes = new FifoPool(directory.pipesDir);
  const { isolation, obstacle } = await isolationOf({ ...options, stateDir }, { marker, pipes, images });
  const state = new RuntimeState({ directory, image, images, pipes, isolation, obstacle });
  await restore(state);
  const tokens = new StreamingTokens<StreamRequests>();
  const urlOf = (kind: string, token: string): string => `${streamingBase(options)}/${kind}/${token}`;
  const lists = { ...sandboxCalls(state), ...containerCalls(state), ...statsCalls(state) };
  const imageHandlers = imageCalls({ host: image, images, stateDir });
  const runtime = {
    ...runtimeCalls(isolation),
    ...lists,
    ...listStreams(lists),
    ...execSyncCall(state),
    ...streamingCalls(state, tokens, urlOf),
    getContainerEvents: (_request: unknown, { signal }: HandlerContext) => state.events.watch(signal),
  };
  const close = async (leaveContainers: boolean): Promise<void> => {
    tokens.clear();
    let isDown = false;
    try {
      await (leaveContainers ? state.leave() : state.close());
      isDown = !leaveContainers;
    } finally {
      // Nothing should be left; what got away from its container is still marked as ours.
      if (!leaveContainers) await Promise.all([killMarked(marker), killMarked(`${marker}.keeper`)]);
      pipes.close();
      // What could not be taken down the next runtime here finds, as all of one that was killed.
      directory.release({ keep: !isDown });
    }
  };
  let closing: Promise<void> | undefined;
  const closeOnce = ({ leaveContainers = false }: CloseOptions = {}): Promise<void> =>
    (closing ??= close(leaveContainers));
  return {
    handlers: { runtime, image: { ...imageHandlers, ...imageStream(imageHandlers.listImages) } },
    exec: (token) => execTicket(state, tokens.take('exec', token)),
    attach: (token) => attachTicket(state, tokens.take('attach', token)),
    portForward: (token) => portForwardTicket(state, tokens.take('portforward', token)),
    close: closeOnce,
    [Symbol.asyncDispose]: () => closeOnce(),
  };
}

/**
 * @returns walls, or why there are none
 * @throws ExecPathError ERR_ISOLATION when walls are wanted and cannot be had
 */
async function isolationOf(
  { isolation = false, stateDir }: RuntimeOptions,
  { images, ...rest }: { readonly marker: string; readonly pipes: FifoPool; readonly images: ImageStore },
): Promise<{ readonly isolation: Isolation | undefined; readonly obstacle: string }> {
  if (isolation === false) return { isolation: undefined, obstacle: 'it was started without isolation' };
  const obstacle = await isolationObstacle();
  if (obstacle === undefined) {
    const makesPodsAtOnce = (): boolean => isolation === true || images.list().length > 0;
    return { isolation: new Isolation({ stateDir, makesPodsAtOnce, ...rest }), obstacle: '' };
  }
  if (isolation === 'auto') return { isolation: undefined, obstacle };
  throw new ExecPathError('ERR_ISOLATION', `containers cannot be isolated here: ${obstacle}`, { hop: 'runtime' });
}

function streamingBase({ streamingUrl }: RuntimeOptions): string {
  if (streamingUrl !== undefined) return streamingUrl().replace(/\/$/, '');
  throw new RuntimeCallError(grpcCodes.Unavailable, 'the streaming server is not running');
}

function execTicket(state: RuntimeState, request: StreamRequests['exec'] | undefined): ExecTicket | undefined {
  if (request === undefined) return undefined;
  const { containerId, argv, stdin, stdout, stderr, tty } = request;
  const start = async (size?: TerminalSize): Promise<RunningProcess> =>
    state.containers.get(containerId).exec({ argv, stdin, stdout, stderr, ...(tty && { tty: size ?? true }) });
  return { request, start };
}

function attachTicket(state: RuntimeState, request: StreamRequests['attach'] | undefined): AttachTicket | undefined {
  if (request === undefined) return undefined;
  const start = (): AttachSession => {
    const container = state.containers.get(request.containerId);
    const attachment = container.attach({ stdin: request.stdin });
    // Asked for now: when the container has ended it can be asked no more.
    const exited = container.exited();
    const resize = (size: TerminalSize): void => {
      if (container.phase === 'running') container.resize(size);
    };
    return { ...attachment, exited, resize };
  };
  return { request, start };
}

function portForwardTicket(
  state: RuntimeState,
  request: StreamRequests['portforward'] | undefined,
): PortForwardTicket | undefined {
  if (request === undefined) return undefined;
  const dial = async (port: number, { signal }: { readonly signal?: AbortSignal } = {}): Promise<Socket> => {
    const sandbox = state.sandboxes.get(request.podSandboxId);
    if (!sandbox.isReady) throw new RuntimeCallError(grpcCodes.Unknown, 'sandbox container is not running');
    signal?.throwIfAborted();
    const deadline = AbortSignal.timeout(DIAL_TIMEOUT_MS);
    const stop = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
    // Containers of the host image listen in the host's network, whatever their pod has.
    const hasWalls = state.containersOf(sandbox).some(({ options }) => options.confinement !== undefined);
    const pod = hasWalls && sandbox.pod?.isHostNetwork === false ? sandbox.pod : undefined;
    const to = (host: string): Promise<Socket> =>
      pod === undefined ? dialHost(host, port, stop) : pod.dial({ host, port, signal: stop });
    try {
      return await to('127.0.0.1');
    } catch (first) {
      return to('::1').catch(() => {
        throw first;
      });
    }
  };
  return { request, dial };
}

/** A loopback connection is made at once or refused; a full backlog is waited for this long, in ms. */
const DIAL_TIMEOUT_MS = 10_000;

async function dialHost(host: string, port: number, stop: AbortSignal): Promise<Socket> {
  stop.throwIfAborted();
  const socket = connect({ host, port, noDelay: true, allowHalfOpen: true });
  return new Promise<Socket>((resolve, reject) => {
    const onAbort = (): void => {
      socket.destroy(stop.reason as Error);
    };
    stop.addEventListener('abort', onAbort, { once: true });
    const settle = (): void => stop.removeEventListener('abort', onAbort);
    socket.once('error', (error) => {
      settle();
      reject(error);
    });
    socket.once('connect', () => {
      settle();
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}
