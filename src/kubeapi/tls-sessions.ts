import type { TLSSocket } from 'node:tls';

/** How long after a full handshake its session is offered again, in ms: rights are looked at anew this often. */
export const TLS_SESSION_MS = 5 * 60_000;

/** Servers remembered; beyond that the one that was first met is forgotten. */
const MAX_SERVERS = 1_000;

interface Known {
  readonly session: Buffer;
  /** When the certificates of both sides were last shown and checked, in ms since 1970. */
  readonly checkedAt: number;
}

/**
 * TLS sessions that servers gave out, by which the next handshake needs no certificates: most of the CPU time of a
 * short connection. Good for one secure context; with another CA or client certificate everything is checked again.
 *
 * @see RFC 8446 2.2
 */
export class TlsSessions {
  readonly #known = new Map<string, Known>();
  readonly #now: () => number;

  /** @param now ms since 1970; default `Date.now` */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** For `tls.connect` to `server`, a name of the caller's choice that stands for one name and port. */
  offer(server: string): Buffer | undefined {
    const known = this.#known.get(server);
    if (known === undefined) return undefined;
    if (this.#now() - known.checkedAt < TLS_SESSION_MS) return known.session;
    this.#known.delete(server);
    return undefined;
  }

  /** Remembers what `server` gives out on `socket`, whose handshake has not begun yet. */
  learn(server: string, socket: TLSSocket): void {
    const before = this.#known.get(server);
    socket.on('session', (session: Buffer) => {
      // It can no longer say how it began.
      if (socket.destroyed) return;
      const checkedAt = socket.isSessionReused() ? before?.checkedAt : this.#now();
      if (checkedAt === undefined) return;
      this.#known.delete(server);
      this.#known.set(server, { session, checkedAt });
      const [oldest] = this.#known.keys();
      if (this.#known.size > MAX_SERVERS && oldest !== undefined) this.#known.delete(oldest);
    });
  }
}
