import { grpcCodes, RuntimeCallError, type RuntimeServiceHandlers } from '../cri/index.ts';
import type { RuntimeState } from './runtime-state.ts';
import type { StreamingTokens } from './streaming-tokens.ts';

/** What was asked for when a token was handed out. Ids are whole. */
export interface StreamRequests {
  exec: {
    readonly containerId: string;
    readonly argv: readonly string[];
    readonly tty: boolean;
    readonly stdin: boolean;
    readonly stdout: boolean;
    readonly stderr: boolean;
  };
  attach: {
    readonly containerId: string;
    readonly tty: boolean;
    readonly stdin: boolean;
    readonly stdout: boolean;
    readonly stderr: boolean;
  };
  portforward: {
    readonly podSandboxId: string;
    /** 1 … 65535; empty when the ports come with the streams. */
    readonly ports: readonly number[];
  };
}

type StreamingCalls = Pick<RuntimeServiceHandlers, 'exec' | 'attach' | 'portForward'>;

/**
 * The calls that hand out the URL of a stream.
 *
 * @param urlOf where the streaming server takes up a token; throws while there is none
 * @see cri.md 4.5
 */
export function streamingCalls(
  state: RuntimeState,
  tokens: StreamingTokens<StreamRequests>,
  urlOf: (kind: keyof StreamRequests, token: string) => string,
): StreamingCalls {
  const issue = <Kind extends keyof StreamRequests>(kind: Kind, request: StreamRequests[Kind]): { url: string } => {
    state.assertOpen();
    return { url: urlOf(kind, tokens.issue(kind, request)) };
  };
  return {
    exec: async ({ containerId, cmd, tty, stdin, stdout, stderr }) => {
      validateStreams({ containerId, tty, stdin, stdout, stderr });
      const container = state.containers.get(containerId);
      container.running();
      if (cmd.length === 0) throw invalid('one of cmd must be set');
      return issue('exec', { containerId: container.id, argv: cmd, tty, stdin, stdout, stderr });
    },
    attach: async ({ containerId, tty, stdin, stdout, stderr }) => {
      validateStreams({ containerId, tty, stdin, stdout, stderr });
      const container = state.containers.get(containerId);
      container.running();
      if (tty !== container.options.config.tty) throw invalid(`tty is ${tty}, but the container says ${!tty}`);
      return issue('attach', { containerId: container.id, tty, stdin, stdout, stderr });
    },
    portForward: async ({ podSandboxId, port }) => {
      if (podSandboxId === '') throw invalid('missing required pod_sandbox_id');
      const sandbox = state.sandboxes.get(podSandboxId);
      if (!sandbox.isReady) throw new RuntimeCallError(grpcCodes.Unknown, 'sandbox container is not running');
      const bad = port.find((number) => number < 1 || number > 65_535);
      if (bad !== undefined) throw invalid(`port ${bad} is not between 1 and 65535`);
      return issue('portforward', { podSandboxId: sandbox.id, ports: port });
    },
  };
}

function validateStreams(request: {
  readonly containerId: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}): void {
  if (request.containerId === '') throw invalid('missing required container_id');
  if (request.tty && request.stderr) throw invalid('tty and stderr cannot both be true');
  if (!request.stdin && !request.stdout && !request.stderr) {
    throw invalid('one of stdin, stdout, or stderr must be set');
  }
}

function invalid(description: string): RuntimeCallError {
  return new RuntimeCallError(grpcCodes.InvalidArgument, description);
}
