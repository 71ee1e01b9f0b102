import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { SOURCE_WRITE_BYTES, writeBytes } from '../byte-source.ts';
import { answerParent } from '../worker.ts';

const buffers = { highWaterMark: SOURCE_WRITE_BYTES };

export interface Transfer {
  readonly port: number;
  readonly direction: 'up' | 'down';
  readonly bytes: number;
  /** PEM of the authority: by TLS. Default: plain. */
  readonly ca?: string;
}

/** A client that reads into one buffer, looks at nothing but the answer's head, and tells the seconds between. */
answerParent({
  start: () => {},
  transfer: async (transfer: Transfer): Promise<{ seconds: number; cipher: string }> => {
    const reader = new Reader();
    const socket = await dial(transfer, reader);
    const request = `GET /${transfer.direction}?bytes=${transfer.bytes} HTTP/1.1`;
    socket.write(`${request}\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: bytes\r\n\r\n`);
    await reader.until(1);
    const start = process.hrtime.bigint();
    if (transfer.direction === 'up') {
      void writeBytes(socket, transfer.bytes);
      await reader.until(1 + 1);
    } else {
      await reader.until(1 + transfer.bytes);
    }
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const cipher = 'getCipher' in socket ? (socket as TLSSocket).getCipher().name : '';
    socket.destroy();
    return { seconds, cipher };
  },
});

/** Counts what comes behind the answer's head; the head itself counts as one byte. */
class Reader {
  #head: Buffer | undefined = Buffer.alloc(0);
  #bytes = 0;
  #wanted = Number.POSITIVE_INFINITY;
  #wake: (() => void) | undefined;

  take(chunk: Uint8Array, length: number): void {
    if (this.#head !== undefined) {
      this.#head = Buffer.concat([this.#head, chunk.subarray(0, length)]);
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.#bytes = 1 + this.#head.length - end - 4;
      this.#head = undefined;
    } else {
      this.#bytes += length;
    }
    if (this.#bytes >= this.#wanted) this.#wake?.();
  }

  until(bytes: number): Promise<void> {
    if (this.#bytes >= bytes) return Promise.resolve();
    this.#wanted = bytes;
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

async function dial({ port, ca }: Transfer, reader: Reader): Promise<Socket> {
  if (ca === undefined) {
    const buffer = Buffer.allocUnsafeSlow(SOURCE_WRITE_BYTES);
    const onread = {
      buffer,
      callback: (length: number, bytes: Uint8Array): boolean => {
        reader.take(bytes, length);
        return true;
      },
    };
    const socket = connectTcp({ host: '127.0.0.1', port, noDelay: true, onread, ...buffers });
    await once(socket, 'connect');
    return socket;
  }
  const tcp = connectTcp({ host: '127.0.0.1', port, noDelay: true });
  await once(tcp, 'connect');
  const secure = connectTls({ socket: tcp, ca, ALPNProtocols: ['http/1.1'], ...buffers });
  await once(secure, 'secureConnect');
  secure.on('data', (bytes: Buffer) => reader.take(bytes, bytes.length));
  return secure;
}
