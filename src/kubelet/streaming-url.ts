import type { Duplex } from 'node:stream';
import { ExecPathError } from '../common/errors.ts';
import { spdyOffer } from '../common/subprotocols.ts';
import type { CriClient } from '../cri/index.ts';
import {
  type DialedSpdy,
  dialSpdy,
  type HopLimits,
  proxyUpgrade,
  refuseUpgrade,
  type UpgradeProxyOptions,
  type UpgradeProxyResult,
  type UpgradeTarget,
} from '../httpstream/index.ts';
import { proxyTunnel, tunnelProtocols } from '../portforward/index.ts';
import { needsTranslation, translateStreams } from '../remotecommand/index.ts';
import type {
  CommandRequest,
  CommandStarter,
  ForwardRequest,
  RunningCommand,
  SessionEnd,
  Upgrade,
} from './running-command.ts';
import { StreamingDialer } from './streaming-dialer.ts';

/** How long a runtime's name is taken for known, in ms. */
const RUNTIME_KNOWN_MS = 10_000;

/** Runtimes whose streaming server speaks WebSocket v5 and the tunnel itself, by the name that their `Version` gives. */
const runtimesWithV5: ReadonlySet<string> = new Set(['podwire']);

/**
 * Runs commands by CRI's `Exec`, `Attach` and `PortForward`: the runtime answers with a URL of its streaming server, and
 * the client's connection is relayed there byte for byte. Only for runtimes that do not know them, a v5 WebSocket is
 * translated to SPDY and a port-forward tunnel is taken off the SPDY inside.
 */
export class StreamingUrlStarter implements CommandStarter {
  readonly #cri: CriClient;
  readonly #limits: HopLimits;
  readonly #dialer = new StreamingDialer();
  #speaksV5: { readonly answer: Promise<boolean>; readonly since: number } | undefined;

  constructor(cri: CriClient, limits: HopLimits = {}) {
    this.#cri = cri;
    this.#limits = limits;
  }

  async prepare(request: CommandRequest): Promise<RunningCommand> {
    const { containerId, argv, streams, signal } = request;
    const { runtime } = this.#cri;
    const asked =
      argv === undefined
        ? runtime.attach({ containerId, ...streams }, { signal })
        : runtime.exec({ containerId, cmd: [...argv], ...streams }, { signal });
    const target = await this.#target(asked);
    return { serve: (upgrade) => serveCommand(target, upgrade, request) };
  }

  async prepareForward(request: ForwardRequest): Promise<RunningCommand> {
    const { podSandboxId, ports, signal } = request;
    const target = await this.#target(this.#cri.runtime.portForward({ podSandboxId, port: [...ports] }, { signal }));
    return { serve: (upgrade) => serveForward(target, upgrade, request) };
  }

  async #target(asked: Promise<{ readonly url: string }>): Promise<StreamingTarget> {
    const [{ url }, speaksV5] = await Promise.all([asked, this.#runtimeSpeaksV5()]);
    const target = streamingUrl(url);
    return { url: target, dial: (signal) => this.#dialer.dial(target, signal), speaksV5, limits: this.#limits };
  }

  /** Asked again after a while, for another runtime may have come to the same socket; and when it failed. */
  async #runtimeSpeaksV5(): Promise<boolean> {
    const known = this.#speaksV5;
    if (known !== undefined && Date.now() - known.since < RUNTIME_KNOWN_MS) return await known.answer;
    const answer = this.#cri.runtime.version({}).then(({ runtimeName }) => runtimesWithV5.has(runtimeName));
    this.#speaksV5 = { answer, since: Date.now() };
    try {
      return await answer;
    } catch (thrown) {
      this.#speaksV5 = undefined;
      throw thrown;
    }
  }
}

/** A URL without a scheme is plain HTTP. */
function streamingUrl(text: string): URL {
  const url = URL.parse(/^https?:\/\//.test(text) ? text : `http://${text}`);
  if (url === null || text === '') {
    throw new ExecPathError('ERR_STREAMING_URL', `the runtime's streaming URL ${JSON.stringify(text)} is not a URL`, {
      hop: 'runtime',
    });
  }
  return url;
}

/** The streaming server, and how a session with it is kept. */
interface StreamingTarget {
  readonly url: URL;
  readonly dial: (signal: AbortSignal) => Promise<Duplex>;
  readonly speaksV5: boolean;
  readonly limits: HopLimits;
}

async function serveCommand(target: StreamingTarget, upgrade: Upgrade, request: CommandRequest): Promise<SessionEnd> {
  if (!needsTranslation(upgrade.request) || target.speaksV5) {
    return endOf(await proxyUpgrade(upgrade, ...proxyTo(target, request)));
  }
  const { url, limits } = target;
  const dial = async (signal: AbortSignal): Promise<DialedSpdy> => {
    const socket = await target.dial(AbortSignal.any([signal, request.signal]));
    return await dialSpdy(socket, {
      path: url.pathname + url.search,
      headers: Object.entries(headersFor(url, request)),
      protocols: spdyOffer,
      ...(limits.upgradeTimeoutMs === undefined ? {} : { timeoutMs: limits.upgradeTimeoutMs }),
      session: limits,
      signal,
    });
  };
  const outcome = await translateStreams(upgrade, request.streams, dial, limits);
  if (outcome === undefined) return { how: 'refused' };
  return { how: outcome.kind === 'exited' ? `exited ${outcome.code}` : `failed: ${outcome.message}` };
}

async function serveForward(target: StreamingTarget, upgrade: Upgrade, request: ForwardRequest): Promise<SessionEnd> {
  const isTunnel = tunnelProtocols(upgrade.request).length > 0;
  const proxy = isTunnel && !target.speaksV5 ? proxyTunnel : proxyUpgrade;
  return endOf(await proxy(upgrade, ...proxyTo(target, request)));
}

interface Session {
  readonly sessionId: string;
  readonly signal: AbortSignal;
}

function headersFor(url: URL, { sessionId }: Session): Record<string, string> {
  return { Host: url.host, 'Audit-ID': sessionId };
}

/** The last two arguments of `proxyUpgrade` and `proxyTunnel`. */
function proxyTo({ url, dial, limits }: StreamingTarget, session: Session): [UpgradeTarget, UpgradeProxyOptions] {
  return [
    {
      connect: dial,
      path: url.pathname + url.search,
      headers: headersFor(url, session),
      dropHeaders: ['authorization', 'cookie'],
    },
    { refuse: (socket, error) => refuseUpgrade(socket, 500, error.message), limits, signal: session.signal },
  ];
}

function endOf(result: UpgradeProxyResult): SessionEnd {
  return result.kind === 'refused'
    ? { how: `refused: ${result.error.message}` }
    : { how: `ended by ${result.endedBy}`, bytesUp: result.bytesUp, bytesDown: result.bytesDown };
}
