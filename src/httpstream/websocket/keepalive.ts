import { ExecPathError } from '../../common/errors.ts';
import { Deadline } from './deadline.ts';

/** Clients send a PING this often, in ms, as client-go does. */
export const PING_INTERVAL_MS = 5000;

/** A peer that was silent for so long is lost, in ms; client-go allows 61 s. */
export const KEEPALIVE_TIMEOUT_MS = 60_000;

/**
 * While a server has stopped reading for a slow channel it sends a PONG this often, in ms, for it cannot see the PINGs
 * behind the data.
 */
export const HEARTBEAT_INTERVAL_MS = 5000;

/** What our clients' PINGs carry, and what our servers say once in return: "PINGs are safe, I wait for your Close". */
const WHO_WAITS = 'podwire: do you wait for my Close?';
const I_WAIT = 'podwire: I wait for your Close';

export interface KeepaliveOptions {
  /** Clients only. Default {@link PING_INTERVAL_MS}; 0: none, and then silence proves nothing. */
  readonly pingIntervalMs?: number;
  /** Default {@link KEEPALIVE_TIMEOUT_MS}; 0: never lost by silence. */
  readonly keepaliveTimeoutMs?: number;
  /** Servers only. Default {@link HEARTBEAT_INTERVAL_MS}; 0: none. */
  readonly heartbeatIntervalMs?: number;
}

export interface KeepaliveActions {
  readonly ping: (payload: Uint8Array) => void;
  readonly pong: (payload: Uint8Array) => void;
  readonly lost: (error: ExecPathError) => void;
}

/**
 * Finds out that the peer is gone, and shows it that we are not.
 *
 * A client pings and expects any byte within the limit. A server expects it only of a client that has pinged twice:
 * then its pings are a habit. In both roles the time counts only while we read (else the bytes may lie unread in the
 * kernel) and while our own writes are not blocked (else our pings may not have arrived, because the process at the
 * other end does not read). A peer whose host has vanished in such a phase is found by TCP itself.
 *
 * The heartbeat: with no credit in the protocol, a server whose process does not read stdin must at some point stop
 * reading the socket, and every later PING waits in TCP behind the data. RFC 6455, section 5.5.3 allows a PONG without a
 * PING, and client-go's deadline is moved by any PONG: so its sessions outlive a process that never reads. The writes
 * also fail soon after the client has vanished, which a socket that is not read would not tell.
 *
 * A PING can do harm: Go's servers close the socket right behind their Close frame, and a PING that arrives then makes
 * the kernel answer RST, which throws away what the client has not read yet. So a client sends PINGs only into silence:
 * while data comes, or lies unread, they would prove nothing anyway. Our own servers wait for the client's Close; they
 * say so in a PONG once they have seen a PING of ours, and from then on are pinged always, as their rule above needs.
 *
 * Owns: its timers, until `stop()`.
 */
export class Keepalive {
  readonly #role: 'client' | 'server';
  readonly #options: Required<KeepaliveOptions>;
  readonly #actions: KeepaliveActions;
  readonly #deadline: Deadline;
  #timer: NodeJS.Timeout | undefined;
  #afterReading: NodeJS.Immediate | undefined;
  #pings = 0;
  #notReading = false;
  #blocked = false;
  /** Client: data came, or reading had stopped, since the last beat. */
  #busy = false;
  /** Client: the server waits for our Close. Server: it has said so. */
  #waits = false;

  constructor(role: 'client' | 'server', options: KeepaliveOptions, actions: KeepaliveActions) {
    this.#role = role;
    this.#options = {
      pingIntervalMs: options.pingIntervalMs ?? PING_INTERVAL_MS,
      keepaliveTimeoutMs: options.keepaliveTimeoutMs ?? KEEPALIVE_TIMEOUT_MS,
      heartbeatIntervalMs: options.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS,
    };
    this.#actions = actions;
    const ms = this.#options.keepaliveTimeoutMs;
    this.#deadline = new Deadline(ms, () => {
      actions.lost(new ExecPathError('ERR_KEEPALIVE_TIMEOUT', `the peer sent nothing for ${ms} ms, not even a PONG`));
    });
  }

  start(): void {
    const { pingIntervalMs } = this.#options;
    if (this.#role === 'server' || pingIntervalMs === 0) return;
    this.#deadline.start();
    // Timers run before sockets are read: after a delay of our own the silence would be no silence.
    const beat = (): void => {
      this.#afterReading = setImmediate(() => this.#ping());
    };
    this.#timer = setInterval(beat, pingIntervalMs).unref();
  }

  /** Bytes of any kind came from the peer. */
  received(): void {
    this.#deadline.touch();
  }

  /** A piece of a data message came. */
  receivedData(): void {
    this.#busy = true;
  }

  /** Call it once the PING is answered. */
  receivedPing(payload: Uint8Array): void {
    if (this.#role === 'client') return;
    this.#pings += 1;
    if (this.#pings === 2) this.#deadline.start();
    if (this.#waits || Buffer.from(payload).toString() !== WHO_WAITS) return;
    this.#waits = true;
    this.#actions.pong(Buffer.from(I_WAIT));
  }

  receivedPong(payload: Uint8Array): void {
    if (this.#role === 'client' && Buffer.from(payload).toString() === I_WAIT) this.#waits = true;
  }

  /** Whether the socket is being read; true at first. */
  reading(reading: boolean): void {
    this.#notReading = !reading;
    this.#busy ||= !reading;
    this.#deadline.hold(this.#notReading || this.#blocked);
    const { heartbeatIntervalMs } = this.#options;
    if (reading || this.#role === 'client' || heartbeatIntervalMs === 0 || this.#timer !== undefined) return;
    // Once started it stays: reading stops and goes on many times a second with a reader that is only slow.
    this.#timer = setInterval(() => {
      if (this.#notReading) this.#beat(this.#actions.pong, '');
    }, heartbeatIntervalMs).unref();
  }

  /** Whether our writes wait for the peer; false at first. */
  blocked(blocked: boolean): void {
    this.#blocked = blocked;
    this.#deadline.hold(this.#notReading || this.#blocked);
  }

  stop(): void {
    clearInterval(this.#timer);
    clearImmediate(this.#afterReading);
    this.#deadline.stop();
  }

  #ping(): void {
    if (this.#waits) this.#beat(this.#actions.ping, '');
    else if (!this.#busy) this.#beat(this.#actions.ping, WHO_WAITS);
    this.#busy = this.#notReading;
  }

  /** Behind blocked writes one more frame proves nothing, and they would pile up. */
  #beat(send: (payload: Uint8Array) => void, text: string): void {
    if (!this.#blocked) send(Buffer.from(text));
  }
}
