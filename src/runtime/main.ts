import { type CriServer, serveCri } from '../cri/index.ts';
import { type CloseOptions, createRuntime, type Runtime } from './runtime.ts';
import { type StreamingServerOptions, serveStreams } from './streaming-server.ts';

export interface StartRuntimeOptions {
  /** The runtime's own folder, made 0700. */
  readonly stateDir: string;
  /** `--listen`: path of the CRI socket; default `<stateDir>/runtime.sock`. */
  readonly socketPath?: string;
  /** CRI over TCP too: `host:port`, loopback only, for it is plain. */
  readonly tcp?: string;
  readonly streaming?: StreamingServerOptions;
  /** More references that mean the host image. */
  readonly imageAliases?: readonly string[];
  /** Containers of imported images, with walls; see RuntimeOptions. */
  readonly isolation?: boolean | 'auto';
}

export interface RunningRuntime {
  readonly runtime: Runtime;
  /** `unix:///path`, and `tcp://host:port` when asked for. */
  readonly endpoints: readonly string[];
  readonly streamingUrl: string;
  /** Ends every session and container and leaves no process, unless it is told to leave containers. */
  close(options?: CloseOptions): Promise<void>;
}

/**
 * Starts hop 4: the embedded runtime with its CRI socket and its streaming server.
 *
 * @throws ExecPathError ERR_STATE_IN_USE, ERR_BAD_REQUEST, ERR_CRI_LISTEN, ERR_LISTEN
 */
export async function startRuntime(options: StartRuntimeOptions): Promise<RunningRuntime> {
  let streamingUrl = '';
  const runtime = await createRuntime({
    stateDir: options.stateDir,
    streamingUrl: () => streamingUrl,
    ...(options.imageAliases === undefined ? {} : { imageAliases: options.imageAliases }),
    ...(options.isolation === undefined ? {} : { isolation: options.isolation }),
  });
  const closers: ((options?: CloseOptions) => Promise<void>)[] = [(how) => runtime.close(how)];
  const closeAll = async (how?: CloseOptions): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close(how);
  };
  try {
    const streams = await serveStreams(runtime, options.streaming);
    closers.push(() => streams.close(0));
    streamingUrl = streams.url;
    const socketPath = options.socketPath ?? `${options.stateDir}/runtime.sock`;
    const cri: CriServer = await serveCri(runtime.handlers, {
      socketPath,
      ...(options.tcp === undefined ? {} : { tcp: options.tcp }),
    });
    closers.push(() => cri.close());
    return { runtime, endpoints: cri.endpoints, streamingUrl, close: closeAll };
  } catch (thrown) {
    await closeAll();
    throw thrown;
  }
}
