import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../src/common/deferred.ts';
import { listen } from '../../src/httpstream/index.ts';
import {
  type DialPort,
  openChannelForward,
  openPortForward,
  type PortForwardEnd,
  parsePorts,
  type RemoteConnection,
  type ServePortForwardOptions,
  servePortForward,
} from '../../src/portforward/index.ts';
import { Loopback } from '../support/loopback.ts';
import { readAll } from '../support/read-all.ts';

/** `channels` is the older WebSocket form. */
export type ForwardForm = 'spdy' | 'tunnel' | 'channels' | 'channels in base64';

/** Titles of behaviours that a form cannot have, each with its reason. */
export type Exceptions = Readonly<Record<string, string>>;

export const pod = { id: 'sandbox-1', uid: 'uid-1' } as const;

/** Dials ports of this machine, as a pod on the host's network. */
export const dialLoopback: DialPort = async (port, { signal }) => {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const leave = (): void => void socket.destroy(new Error('the client left'));
  signal.addEventListener('abort', leave, { once: true });
  await once(socket, 'connect');
  signal.removeEventListener('abort', leave);
  return socket;
};

/** A port-forward server on loopback, and targets for it. */
export class ForwardWorld implements AsyncDisposable {
  readonly #loopback = new Loopback();
  readonly #options: Partial<ServePortForwardOptions>;
  readonly #ended = deferred<PortForwardEnd | undefined>();
  port = 0;

  private constructor(options: Partial<ServePortForwardOptions>) {
    this.#options = options;
  }

  static async start(options: Partial<ServePortForwardOptions> = {}): Promise<ForwardWorld> {
    const world = new ForwardWorld(options);
    const listener = await listen({
      onRequest: (_request, response) => response.writeHead(400).end(),
      onUpgrade: (request, socket, head) => {
        const query = new URL(request.url ?? '/', 'http://test').searchParams;
        const serve = { dial: dialLoopback, pod, ports: parsePorts(query.getAll('port')), ...world.#options };
        void servePortForward({ request, socket, head }, serve).then(world.#ended.resolve);
      },
    });
    world.port = listener.port;
    world.#loopback.defer(() => listener.close(0));
    return world;
  }

  /** What the server made of its first session to end. */
  get ended(): Promise<PortForwardEnd | undefined> {
    return this.#ended.promise;
  }

  /** A target that gives each connection to `serve`. @returns its port */
  target(serve: (socket: Socket) => void): Promise<number> {
    return this.#loopback.listen(createServer({ allowHalfOpen: true }, serve));
  }

  async dial(): Promise<Socket> {
    const socket = connect(this.port, '127.0.0.1');
    this.#loopback.defer(() => socket.destroy());
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  }

  /** A client session of its own with one connection. */
  async connect(form: ForwardForm, port: number): Promise<OneConnection> {
    const socket = await this.dial();
    if (form === 'spdy' || form === 'tunnel') {
      const session = await openPortForward(socket, { transport: form, path: '/', host: 'test' });
      return { ...(await session.connect(port)), leave: () => void socket.destroy(), close: () => session.close() };
    }
    const protocol = form === 'channels' ? 'v4.channel.k8s.io' : 'v4.base64.channel.k8s.io';
    const session = await openChannelForward(socket, { path: `/?port=${port}`, host: 'test', protocol, ports: [port] });
    return { ...session.connections[0]!, leave: () => void socket.destroy(), close: () => session.close() };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#loopback.close();
  }
}

export interface OneConnection extends RemoteConnection {
  /** The client is gone at once. */
  readonly leave: () => void;
  readonly close: () => Promise<void>;
}

/** Sends back what it gets. */
export const echo = (socket: Socket): void => void socket.pipe(socket);

/** What every form must do with one connection. */
export function portForwardCompliance(form: ForwardForm, except: Exceptions = {}): void {
  const behaviour = (title: string, body: (world: ForwardWorld) => Promise<void>): void => {
    it.skipIf(title in except)(title, async () => {
      await using world = await ForwardWorld.start();
      await body(world);
    });
  };

  describe(`port-forward over ${form}`, () => {
    behaviour('gotcha 56: carries every byte value both ways', async (world) => {
      const bytes = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, value) => value)), randomBytes(2e6)]);
      const { data } = await world.connect(form, await world.target(echo));
      const hash = createHash('sha256');
      const whole = deferred<void>();
      let received = 0;
      data.on('data', (chunk: Buffer) => {
        hash.update(chunk);
        received += chunk.length;
        if (received >= bytes.length) whole.resolve();
      });
      data.write(bytes);
      await whole.promise;
      expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
    });

    behaviour('tells the target the client’s end, and brings what it says after it', async (world) => {
      const port = await world.target((socket) => {
        void readAll(socket).then((bytes) => socket.end(`${bytes.length} bytes`));
      });
      const { data, failed } = await world.connect(form, port);
      data.end(Buffer.alloc(100_000));
      expect((await readAll(data)).toString()).toBe('100000 bytes');
      expect(await failed).toBeUndefined();
    });

    behaviour('tells the client the target’s end, and takes what it says after it', async (world) => {
      const rest = deferred<string>();
      const port = await world.target((socket) => {
        socket.end('bye');
        void readAll(socket).then((bytes) => rest.resolve(bytes.toString()));
      });
      const { data, failed } = await world.connect(form, port);
      expect((await readAll(data)).toString()).toBe('bye');
      data.end('one more word');
      expect(await rest.promise).toBe('one more word');
      expect(await failed).toBeUndefined();
    });

    behaviour('brings all that a target says before its end', async (world) => {
      const bytes = randomBytes(3_000_000);
      const { data, failed } = await world.connect(form, await world.target((socket) => socket.end(bytes)));
      expect((await readAll(data)).equals(bytes)).toBe(true);
      expect(await failed).toBeUndefined();
    });

    behaviour('gotcha 83: tells why a port cannot be reached', async (world) => {
      const port = await world.target(echo);
      await world[Symbol.asyncDispose]();
      await using again = await ForwardWorld.start();
      const { data, failed } = await again.connect(form, port);
      data.resume();
      expect(await failed).toMatchObject({
        code: 'ERR_REMOTE',
        message: `error forwarding port ${port} to pod sandbox-1, uid uid-1: connect ECONNREFUSED 127.0.0.1:${port}`,
      });
    });

    behaviour('tells a cut from an end', async (world) => {
      const port = await world.target((socket) => {
        socket.write('half a sent', () => socket.once('data', () => socket.resetAndDestroy()));
      });
      const { data, failed } = await world.connect(form, port);
      await once(data, 'data');
      data.write('go on');
      expect(await failed).toBeInstanceOf(Error);
    });

    behaviour('gotcha 78: cuts the target when the client is gone', async (world) => {
      const cut = deferred<string | undefined>();
      const began = deferred<void>();
      const port = await world.target((socket) => {
        socket.once('data', () => began.resolve());
        socket.on('end', () => cut.resolve('end'));
        socket.on('error', (error: NodeJS.ErrnoException) => cut.resolve(error.code));
      });
      const { data, leave } = await world.connect(form, port);
      data.write('half a sent');
      await began.promise;
      leave();
      expect(await cut.promise).toBe('ECONNRESET');
      expect(await world.ended).toMatchObject({ connections: 1 });
    });

    behaviour('gotcha 54: a reader that stops, stops the target and loses nothing', async (world) => {
      const total = 48 * 1024 * 1024;
      let written = 0;
      const stalled = deferred<void>();
      const port = await world.target((socket) => {
        const block = Buffer.alloc(256 * 1024, 7);
        const more = (): void => {
          while (written < total) {
            written += block.length;
            if (socket.write(block)) continue;
            if (written > 4 * 1024 * 1024) setTimeout(stalled.resolve, 200);
            socket.once('drain', more);
            return;
          }
          socket.end();
        };
        more();
      });
      const { data, failed } = await world.connect(form, port);
      await stalled.promise;
      expect(written).toBeLessThan(total);
      let received = 0;
      data.on('data', (chunk: Buffer) => {
        received += chunk.length;
      });
      await once(data, 'end');
      data.end();
      expect(received).toBe(total);
      expect(await failed).toBeUndefined();
    });

    behaviour('ends cleanly, and the server with it', async (world) => {
      const { data, close } = await world.connect(form, await world.target(echo));
      data.write('x');
      await once(data, 'data');
      await close();
      expect(await world.ended).toEqual({ reason: { kind: 'clean', by: 'remote' }, connections: 1 });
    });
  });
}
