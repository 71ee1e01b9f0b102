import type { Buffer } from 'node:buffer';
import { setTimeout } from 'node:timers/promises';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { encodeFields, FieldReader, type Fields } from './protobuf-fields.ts';

const CALL_DEADLINE_MS = 60_000;
/** What containerd answers while its CRI plugin is not ready. */
const NOT_YET = 'server is not initialized yet';
const NOT_YET_PAUSE_MS = 50;

/** Runs a pod of one container. */
export interface PodSpec {
  readonly name: string;
  /** Default: `default`. */
  readonly namespace?: string;
  /** Default: `main`. */
  readonly container?: string;
  readonly image: string;
  readonly command: readonly string[];
  /** Environment of the container, beside that of the image. */
  readonly env?: Readonly<Record<string, string>>;
  /** `host` needs no CNI. Default: `pod`. */
  readonly network?: 'pod' | 'host';
  /** A terminal for the container's own process, and a stdin that can be attached to. Default: neither. */
  readonly tty?: boolean;
  readonly stdin?: boolean;
  /** Where the runtime writes `<container>/0.log`. Default: no logs. */
  readonly logDirectory?: string;
}

export interface RunningPod {
  readonly sandboxId: string;
  readonly containerId: string;
}

export interface ExecAsk {
  readonly containerId: string;
  readonly argv: readonly string[];
  readonly stdin?: boolean;
  readonly tty?: boolean;
}

/** The CRI enum NamespaceMode. */
const namespaceMode = { pod: 0, container: 1, node: 2 } as const;

/**
 * Calls a CRI v1 runtime with messages written field by field, without `src/cri`: an error in our .proto cannot hide
 * here by being made on both sides.
 *
 * Owns: one gRPC channel.
 *
 * @see cri.md 2 and 3 for the numbers
 */
export class CriCaller implements Disposable {
  readonly #client: Client;

  /** @param target as gRPC takes it: `unix:///path` or `127.0.0.1:port` */
  constructor(target: string) {
    this.#client = new Client(target, credentials.createInsecure());
  }

  /** `[runtime name, runtime version]`. Waits for the server to come up, at most `deadlineMs`. */
  async version(deadlineMs: number = CALL_DEADLINE_MS): Promise<[string, string]> {
    const deadline = Date.now() + deadlineMs;
    await new Promise<void>((resolve, reject) => {
      this.#client.waitForReady(deadline, (error) => (error ? reject(error) : resolve()));
    });
    for (;;) {
      try {
        const answer = await this.call('RuntimeService/Version', {});
        return [answer.text(2), answer.text(3)];
      } catch (error) {
        // containerd listens before its CRI plugin is ready, and says that it serves before it does.
        if (!String(error).includes(NOT_YET) || Date.now() > deadline) throw error;
        await setTimeout(NOT_YET_PAUSE_MS);
      }
    }
  }

  /** Starts a sandbox and its container. On failure the sandbox is removed again. */
  async runPod(pod: PodSpec): Promise<RunningPod> {
    const config = sandboxConfig(pod);
    const sandboxId = (await this.call('RuntimeService/RunPodSandbox', { 1: config })).text(1);
    try {
      const container = { 1: sandboxId, 2: containerConfig(pod), 3: config };
      const containerId = (await this.call('RuntimeService/CreateContainer', container)).text(1);
      await this.call('RuntimeService/StartContainer', { 1: containerId });
      return { sandboxId, containerId };
    } catch (error) {
      await this.removePod(sandboxId);
      throw error;
    }
  }

  /** Kills what runs in the sandbox and forgets it. */
  async removePod(sandboxId: string): Promise<void> {
    await this.call('RuntimeService/StopPodSandbox', { 1: sandboxId });
    await this.call('RuntimeService/RemovePodSandbox', { 1: sandboxId });
  }

  async sandboxIds(): Promise<string[]> {
    const list = await this.call('RuntimeService/ListPodSandbox', {});
    return list.messages(1).map((sandbox) => sandbox.text(1));
  }

  /** Address of the pod in its network; '' with the host's network. */
  async podAddress(sandboxId: string): Promise<string> {
    const answer = await this.call('RuntimeService/PodSandboxStatus', { 1: sandboxId });
    return answer.messages(1)[0]?.messages(5)[0]?.text(1) ?? '';
  }

  /** The streaming URL of a new exec: it serves one session. */
  async execUrl({ containerId, argv, stdin = false, tty = false }: ExecAsk): Promise<URL> {
    const ask = { 1: containerId, 2: argv, 3: tty, 4: stdin, 5: true, 6: !tty };
    return new URL((await this.call('RuntimeService/Exec', ask)).text(1));
  }

  /** The streaming URL of a port-forward into the sandbox. */
  async portForwardUrl(sandboxId: string): Promise<URL> {
    return new URL((await this.call('RuntimeService/PortForward', { 1: sandboxId })).text(1));
  }

  /** Calls `method`, such as `RuntimeService/Status`; a gRPC error rejects with grpc-js's ServiceError. */
  call(method: string, request: Fields): Promise<FieldReader> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/runtime.v1.${method}`,
        encodeFields,
        (bytes: Buffer) => new FieldReader(bytes),
        request,
        new Metadata(),
        { deadline: Date.now() + CALL_DEADLINE_MS },
        (error, answer) => (error === null && answer !== undefined ? resolve(answer) : reject(error)),
      );
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

function sandboxConfig(pod: PodSpec): Fields {
  const namespace = pod.namespace ?? 'default';
  const isHost = pod.network === 'host';
  return {
    1: { 1: pod.name, 2: `uid-${namespace}-${pod.name}`, 3: namespace },
    2: isHost ? undefined : pod.name,
    3: pod.logDirectory,
    6: podLabels(pod),
    8: { 2: { 1: namespaces(pod) } },
  };
}

function containerConfig(pod: PodSpec): Fields {
  const name = pod.container ?? 'main';
  return {
    1: { 1: name },
    2: { 1: pod.image },
    3: pod.command,
    6: Object.entries(pod.env ?? {}).map(([key, value]) => ({ 1: key, 2: value })),
    9: [...podLabels(pod), { 1: 'io.kubernetes.container.name', 2: name }],
    11: pod.logDirectory === undefined ? undefined : `${name}/0.log`,
    12: pod.stdin,
    14: pod.tty,
    15: { 2: { 3: namespaces(pod) } },
  };
}

/** Each container has its own processes, as Kubernetes wants it; CRI's default is one set for the pod. */
function namespaces(pod: PodSpec): Fields {
  return { 1: pod.network === 'host' ? namespaceMode.node : namespaceMode.pod, 2: namespaceMode.container };
}

/** The labels by which a kubelet finds its pods again. */
function podLabels(pod: PodSpec): Fields[] {
  const namespace = pod.namespace ?? 'default';
  return [
    { 1: 'io.kubernetes.pod.name', 2: pod.name },
    { 1: 'io.kubernetes.pod.namespace', 2: namespace },
    { 1: 'io.kubernetes.pod.uid', 2: `uid-${namespace}-${pod.name}` },
  ];
}
