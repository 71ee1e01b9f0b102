import { Agent, type ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Transport } from './transport.ts';

/** Connections that wait for their next request, at most. */
const MAX_IDLE_CONNECTIONS = 4;
/** Requests under way at once; more wait, within their own deadlines. */
const MAX_BUSY_CONNECTIONS = 32;
/** An idle connection is closed after this, before servers and load balancers do it. */
const IDLE_CONNECTION_MS = 30_000;

/** What Node's types leave out: there is no socket beside an error. */
type Connected = (error: Error | null, socket: Duplex) => void;

/** Keeps connections of one transport for requests that follow. Owns: its sockets. */
export class ConnectionPool extends Agent {
  readonly #transport: Transport;

  /** @param options `maxBusy`: requests under way at once, default 32 */
  constructor(transport: Transport, { maxBusy = MAX_BUSY_CONNECTIONS }: { readonly maxBusy?: number } = {}) {
    super({
      keepAlive: true,
      maxFreeSockets: MAX_IDLE_CONNECTIONS,
      maxSockets: maxBusy,
      timeout: IDLE_CONNECTION_MS,
    });
    this.#transport = transport;
  }

  /** http.Agent asks here for a socket; TLS, proxies and credentials are the transport's. */
  override createConnection(_options: ClientRequestArgs, done?: Connected): null {
    this.#transport.connect(this.#transport.server).then(
      (socket) => done?.(null, socket),
      (error: Error) => done?.(error, undefined as never),
    );
    return null;
  }

  /** Closes what is idle now, and the rest when its request is done. */
  retire(): void {
    this.maxFreeSockets = 0;
    for (const sockets of Object.values(this.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  }
}
