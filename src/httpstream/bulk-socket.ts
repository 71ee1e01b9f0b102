import { type OnReadOpts, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** First read buffer of a bulk socket, in bytes: an idle session costs this much per direction. */
const SMALL_READ_BYTES = 16 * 1024;

/** Read buffer of a socket that filled its small one, in bytes. */
export const BULK_READ_BYTES = 512 * 1024;

/** Buffers of each size kept for the next read, over all sockets of the process. */
const SPARE_BUFFERS = 16;

const spare = { small: [] as Buffer[], bulk: [] as Buffer[] };

/** A read buffer that its reader gives back when the bytes have left the process. */
export interface Lease {
  /** The bytes that were read. Valid until `release`. */
  readonly bytes: Buffer;
  /** Call once, when nobody needs `bytes` any longer. */
  readonly release: () => void;
}

interface Handle {
  readonly reading?: boolean;
}

/** What net.Socket keeps but does not declare; all of it is checked before use. */
interface SocketInternals {
  _handle: Handle | null;
  readonly _server?: unknown;
}

type Internals = Socket & SocketInternals;

/**
 * Can the socket's kernel handle be given to a {@link readInBulk} socket? Not so for TLS, pipes of other kinds and
 * sockets that already ended.
 *
 * net.Socket takes `onread` (large buffers that are used again) only for sockets that it dials itself, so an accepted
 * one must move its handle to a new Socket. That step is not public API: where its parts are missing this says false
 * and the caller uses ordinary streams.
 */
export function canReadInBulk(stream: Duplex): stream is Socket {
  if (!(stream instanceof Socket) || 'encrypted' in stream) return false;
  const { _handle: handle } = stream as Internals;
  return (
    handle !== null &&
    typeof handle === 'object' &&
    handle.constructor.name === 'TCP' &&
    !stream.destroyed &&
    !stream.readableEnded &&
    stream.readableLength === 0 &&
    stream.writableLength === 0 &&
    stream.writable
  );
}

/**
 * Moves `socket`'s kernel handle into a new Socket whose bytes arrive in large reusable buffers.
 *
 * Takes over `socket`: it must not be used afterwards, and is closed for its server's books when the new one closes.
 *
 * @param onBytes gets each read; returns false to stop reading until `resume()` of the returned socket
 */
export function readInBulk(socket: Socket, onBytes: (lease: Lease) => boolean): Socket {
  const old = socket as Internals;
  const handle = old._handle;
  old.pause();
  old.removeAllListeners('data').removeAllListeners('end').removeAllListeners('readable');
  old._handle = null;

  let current: Buffer;
  let size: keyof typeof spare = 'small';
  const onread: OnReadOpts = {
    // Called once before the first read and right after every callback: a buffer that was handed out is not read into.
    buffer: () => (current = take(size)),
    callback: (length, buffer) => {
      const used = current;
      if (length === used.length) size = 'bulk';
      else if (length <= SMALL_READ_BYTES / 4) size = 'small';
      return onBytes({ bytes: (buffer as Buffer).subarray(0, length), release: () => giveBack(used) });
    },
  };
  const bulk = new Socket({ handle, onread, allowHalfOpen: true } as ConstructorParameters<typeof Socket>[0]);
  bulk.once('close', () => old.destroy());
  return bulk;
}

function take(size: keyof typeof spare): Buffer {
  return spare[size].pop() ?? Buffer.allocUnsafeSlow(size === 'small' ? SMALL_READ_BYTES : BULK_READ_BYTES);
}

function giveBack(buffer: Buffer): void {
  const list = buffer.length === SMALL_READ_BYTES ? spare.small : spare.bulk;
  if (list.length < SPARE_BUFFERS) list.push(buffer);
}
