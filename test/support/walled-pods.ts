import { once } from 'node:events';
import { connect } from 'node:net';
import type { StreamOptions } from '../../src/common/channels.ts';
import { ContainerState, type CriClient, NamespaceMode } from '../../src/cri/index.ts';
import { dialSpdy } from '../../src/httpstream/index.ts';
import { openStreamSet, type RemoteCommand, runRemoteCommand } from '../../src/remotecommand/index.ts';
import { TEST_IMAGE } from './image.ts';

type ContainerConfig = NonNullable<Parameters<CriClient['runtime']['createContainer']>[0]['config']>;
type SecurityContext = Omit<
  NonNullable<NonNullable<ContainerConfig['linux']>['securityContext']>,
  '$typeName' | '$unknown' | 'namespaceOptions'
>;

export interface PodOptions {
  /** Default: no log. */
  readonly logDirectory?: string;
  /** Default: the host's. */
  readonly network?: NamespaceMode;
  readonly security?: SecurityContext;
  /** Default: processes of its own. */
  readonly pid?: NamespaceMode;
}

/** Soaks run beside everything else on a machine, and last in line: what is asked is the truth, not the hour. */
const UPGRADE_TIMEOUT_MS = 600_000;

/** How a command ended, and how much it said. */
export interface ExecEnd {
  readonly bytes: number;
  readonly code: number;
}

/** Pods of one container of TEST_IMAGE with walls, at a runtime that knows it. */
export abstract class WalledPods {
  /** A client at the runtime's socket. */
  abstract readonly cri: CriClient;
  #pods = 0;

  /** A pod of one container, on the host's network unless `network` says otherwise. */
  async run(
    command: readonly string[],
    config: Omit<ContainerConfig, 'command' | 'linux'> = {},
    { logDirectory = '', network = NamespaceMode.NODE, pid = NamespaceMode.CONTAINER, security }: PodOptions = {},
  ): Promise<{ readonly podSandboxId: string; readonly containerId: string }> {
    this.#pods += 1;
    const namespaceOptions = { network, pid, ipc: NamespaceMode.POD };
    const metadata = { name: 'pod', namespace: 'default', uid: `uid-${this.#pods}`, attempt: 0 };
    const sandboxConfig = { metadata, logDirectory, linux: { securityContext: { namespaceOptions } } };
    const { podSandboxId } = await this.cri.runtime.runPodSandbox({ config: sandboxConfig });
    const whole = {
      metadata: { name: 'main' },
      image: { image: TEST_IMAGE },
      command: [...command],
      linux: { securityContext: { namespaceOptions, ...security } },
      ...config,
    };
    const { containerId } = await this.cri.runtime.createContainer({
      podSandboxId,
      config: whole as ContainerConfig,
      sandboxConfig,
    });
    await this.cri.runtime.startContainer({ containerId });
    return { podSandboxId, containerId };
  }

  /** A command through the streaming server, by our own client over SPDY. stdout is asked for always. */
  async exec(
    containerId: string,
    cmd: readonly string[],
    { stdin = false, tty = false }: { readonly stdin?: boolean; readonly tty?: boolean } = {},
  ): Promise<RemoteCommand> {
    const streams: StreamOptions = { stdin, tty, stdout: true, stderr: !tty };
    return open(new URL((await this.cri.runtime.exec({ containerId, cmd: [...cmd], ...streams })).url), streams);
  }

  /** The container's own streams, as {@link exec}. */
  async attach(
    containerId: string,
    { stdin = false, tty = false }: { readonly stdin?: boolean; readonly tty?: boolean } = {},
  ): Promise<RemoteCommand> {
    const streams: StreamOptions = { stdin, tty, stdout: true, stderr: !tty };
    return open(new URL((await this.cri.runtime.attach({ containerId, ...streams })).url), streams);
  }

  /** Waits for the container's end. */
  async exitCode(containerId: string): Promise<number> {
    for (;;) {
      const { status } = await this.cri.runtime.containerStatus({ containerId });
      if (status?.state === ContainerState.CONTAINER_EXITED) return status.exitCode;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** @returns how many bytes of stdout came, and the exit code; -1 for a session that failed */
  async bytesOf(containerId: string, cmd: readonly string[], options: { readonly tty?: boolean }): Promise<ExecEnd> {
    const command = await this.exec(containerId, cmd, options);
    let bytes = 0;
    command.stdout?.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    command.stderr?.resume();
    const outcome = await command.completed;
    await command.closed;
    return { bytes, code: outcome.kind === 'exited' ? outcome.code : -1 };
  }

  /** stdout and stderr of a shell script, by ExecSync. */
  async sh(containerId: string, script: string): Promise<string> {
    const cmd = ['sh', '-c', script];
    const { stdout, stderr } = await this.cri.runtime.execSync({ containerId, cmd, timeout: 60n });
    return Buffer.concat([stdout, stderr]).toString().trim();
  }
}

async function open(url: URL, streams: StreamOptions): Promise<RemoteCommand> {
  const socket = connect(Number(url.port), url.hostname);
  await once(socket, 'connect');
  const { session, protocol } = await dialSpdy(socket, {
    path: url.pathname,
    headers: [['Host', url.host]],
    protocols: ['v4.channel.k8s.io'],
    timeoutMs: UPGRADE_TIMEOUT_MS,
  });
  return runRemoteCommand(await openStreamSet(session, protocol, streams));
}
