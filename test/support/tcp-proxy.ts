import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Transform } from 'node:stream';
import { deferred } from '../../src/common/deferred.ts';
import { FaultGate } from './fault-gate.ts';
import type { SeededRandom } from './seed.ts';

/** `up` is from the client to the server. */
export type Direction = 'up' | 'down';

/**
 * What happens to one connection once byte `at` of `direction` is about to pass; the bytes before it have passed.
 *
 * `reset`: both sides get a RST. `end`: the receiver gets a FIN although the sender goes on, and the other direction lives.
 * `stall`: nothing passes in this direction any more, and the sender feels the back-pressure.
 */
export interface Fault {
  readonly kind: 'reset' | 'end' | 'stall';
  readonly direction: Direction;
  /** In bytes; 0 is before the first. */
  readonly at: number;
}

/** A fault of any kind in the first `withinBytes` of a direction, chosen by `random`. */
export function randomFault(random: SeededRandom, withinBytes: number): Fault {
  return {
    kind: random.pick(['reset', 'end', 'stall'] as const),
    direction: random.pick(['up', 'down'] as const),
    at: random.between(0, withinBytes),
  };
}

/**
 * A TCP relay on loopback that breaks connections on purpose and to the byte.
 *
 * Owns: its listener and both sockets of every connection.
 */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #links = new Set<Link>();
  #fault: Fault | undefined;
  #strikes = 0;

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#relay(socket));
  }

  /** Starts a relay to `target` without faults. */
  static async start(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that live now. */
  get connections(): number {
    return this.#links.size;
  }

  /** How often a fault has happened, over all connections. */
  get strikes(): number {
    return this.#strikes;
  }

  /** From now on each new connection meets `fault`; undefined for none. */
  breakNext(fault: Fault | undefined): void {
    this.#fault = fault;
  }

  /** Resets every connection that lives now. */
  resetAll(): void {
    for (const link of this.#links) link.reset();
  }

  /** Stops all bytes of every connection, and of each new one; nothing is closed. As a cable that was pulled. */
  freeze(): void {
    for (const link of this.#links) link.freeze();
    this.#fault = { kind: 'stall', direction: 'up', at: 0 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.resetAll();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #relay(client: Socket): void {
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const link = new Link(client, server, this.#fault, () => (this.#strikes += 1));
    this.#links.add(link);
    void link.closed.then(() => this.#links.delete(link));
  }
}

/** Two sockets and a gate in each direction between them. */
class Link {
  readonly closed: Promise<unknown>;
  readonly #sockets: readonly [Socket, Socket];
  readonly #gates: readonly FaultGate[];

  constructor(client: Socket, server: Socket, fault: Fault | undefined, onStrike: () => void) {
    this.#sockets = [client, server];
    const gate = (direction: Direction): FaultGate => {
      const isHere = fault?.direction === direction;
      return new FaultGate(isHere ? fault.at : Number.POSITIVE_INFINITY, () => {
        onStrike();
        this.#strike(fault?.kind, direction);
      });
    };
    const [up, down] = [gate('up'), gate('down')];
    this.#gates = [up, down];
    this.#join(client, up, server);
    this.#join(server, down, client);
    const ends = this.#sockets.map((socket) => {
      const { promise, resolve } = deferred<undefined>();
      socket.once('close', () => resolve(undefined));
      // What one side lost, the other loses too, and in the same manner.
      socket.once('error', () => this.reset());
      return promise;
    });
    this.closed = Promise.all(ends);
  }

  reset(): void {
    for (const socket of this.#sockets) {
      // While a FIN is on its way libuv refuses to reset, and Node 20 never closes the descriptor after that.
      if (socket.connecting || (socket.writableEnded && !socket.writableFinished)) socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  freeze(): void {
    for (const gate of this.#gates) gate.shut();
  }

  #join(from: Socket, gate: Transform, to: Socket): void {
    from.pipe(gate).pipe(to);
  }

  #strike(kind: Fault['kind'] | undefined, direction: Direction): void {
    if (kind === 'reset') this.reset();
    if (kind === 'end') this.#sockets[direction === 'up' ? 1 : 0].end();
  }
}
