import type { TerminalSize } from '../common/terminal-size.ts';
import type { ClientOverrides, Transport } from '../kubeapi/index.ts';
import type { TransportPreference } from './transport-choice.ts';

/** Which server is called, and as whom. */
export interface ServerOptions {
  /** A way to the server that is there already (`createTransport`); the other fields do not count then. */
  readonly api?: Transport | undefined;
  /** Path of a kubeconfig. Default: `KUBECONFIG`, then `~/.kube/config`, then the service account of this pod. */
  readonly kubeconfig?: string | undefined;
  /** What beats the kubeconfig: context, server, credentials. */
  readonly overrides?: ClientOverrides | undefined;
  /**
   * `https://NODE:10250`: calls this kubelet without an apiserver, with the kubeconfig's credentials and CA. The files
   * of both are read again when they change.
   */
  readonly kubelet?: string | URL | undefined;
}

/** Deadlines of a session, in ms. */
export interface SessionDeadlines {
  /** Name lookup, TCP, proxy and TLS together. Default 30 s. */
  readonly dialTimeoutMs?: number | undefined;
  /** From the upgrade request to its answer. Default 30 s. */
  readonly upgradeTimeoutMs?: number | undefined;
  /** Time between our pings, 0 for none. Default 5 s. */
  readonly pingIntervalMs?: number | undefined;
  /** From asking for a stream over SPDY to the server's confirmation. Default 30 s. */
  readonly streamTimeoutMs?: number | undefined;
  /** How long a server that is pinged may be silent, 0 for ever. Default 60 s. */
  readonly keepaliveTimeoutMs?: number | undefined;
  /**
   * How long nothing may be typed or read, 0 for ever, which is the default: servers have a limit of their own, 4 h as a
   * rule. It is the one deadline that also counts while a command leaves its stdin unread, when silence proves nothing.
   */
  readonly idleTimeoutMs?: number | undefined;
  /**
   * How long a server may hold outputs open, without sending a byte, once it has given its Status; 0 for ever. Default
   * 30 s. A reader who is behind is waited for all the same.
   */
  readonly outputEndTimeoutMs?: number | undefined;
}

/** Of a session in a container. */
export interface AttachOptions extends ServerOptions, SessionDeadlines {
  /** Default: that of the kubeconfig's context, else `default`. */
  readonly namespace?: string | undefined;
  readonly pod: string;
  /** Default: the pod's choice, see `chooseContainer`; that takes one more request. */
  readonly container?: string | undefined;
  /** Default false: the command's stdin is empty. */
  readonly stdin?: boolean | undefined;
  /** Default true. */
  readonly stdout?: boolean | undefined;
  /** Default true. With a TTY there is none: it comes on stdout. */
  readonly stderr?: boolean | undefined;
  /** Default false. */
  readonly tty?: boolean | undefined;
  /** Of the terminal, sent before all else. Only with `tty`. */
  readonly size?: TerminalSize | undefined;
  /** Default `auto`. */
  readonly transport?: TransportPreference | undefined;
  /** The id of this session at every hop (`Audit-ID`). Default: a new UUID. */
  readonly sessionId?: string | undefined;
  /** Default `podwire (<os>/<arch>)`. */
  readonly userAgent?: string | undefined;
  /** While connecting it makes `exec` reject with ERR_ABORTED, afterwards it makes the outcome ERR_ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /** Told when the container was chosen among several. */
  readonly onNotice?: ((text: string) => void) | undefined;
}

export interface ExecOptions extends AttachOptions {
  /** argv; no shell is involved. At least the program. */
  readonly command: readonly string[];
}
