import { type OnReadOpts, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ReadBuffers, type ReadSink, TlsReadBuffers } from './read-buffers.ts';

interface Handle {
  readonly reading?: boolean;
}

/** What net.Socket keeps but does not declare; all of it is checked before use. */
interface SocketInternals {
  _handle: Handle | null;
  /** `ended`: the kernel's EOF was seen, whether or not 'end' was emitted. */
  readonly _readableState?: { readonly ended?: boolean };
  /** Of a TLS socket: its handle, by which `close` finds what to free. */
  ssl?: unknown;
}

type Internals = Socket & SocketInternals;

/** Kernel handles that know large buffers, and the way in which each fills them. */
const readers = { TCP: ReadBuffers, TLSWrap: TlsReadBuffers } as const;

function readerOf(handle: Handle | null | undefined): (typeof readers)[keyof typeof readers] | undefined {
  const name = handle?.constructor.name;
  return name === 'TCP' || name === 'TLSWrap' ? readers[name] : undefined;
}

/**
 * Can the socket's handle, of TCP or TLS, be given to a {@link readInBulk} socket? Not so for pipes of other kinds and
 * for sockets that already ended.
 *
 * net.Socket takes `onread` (buffers of one's own) only for sockets that it dials itself, so an accepted one must move
 * its handle to a new Socket. That step is not public API: where its parts are missing this says false and the caller
 * uses ordinary streams.
 */
export function canReadInBulk(stream: Duplex): stream is Socket {
  if (!(stream instanceof Socket)) return false;
  const { _handle: handle, _readableState } = stream as Internals;
  return (
    readerOf(handle) !== undefined &&
    !stream.destroyed &&
    _readableState?.ended === false &&
    stream.readableLength === 0 &&
    stream.writableLength === 0 &&
    stream.writable
  );
}

/**
 * Moves `socket`'s handle into a new Socket whose bytes arrive in large reusable buffers.
 *
 * Takes over `socket`: it must not be used afterwards, is closed for its server's books when the new one closes, and
 * takes the new one with it when somebody destroys it.
 *
 * @param sink gets each read; when it wants no more, reading stops until `resume()` of the returned socket. TLS still
 *   gives what it had decrypted.
 */
export function readInBulk(socket: Socket, sink: ReadSink): Socket {
  const old = socket as Internals;
  const handle = old._handle;
  const Reader = readerOf(handle) ?? ReadBuffers;
  old.pause();
  old.removeAllListeners('data').removeAllListeners('end').removeAllListeners('readable');
  old._handle = null;

  const reader = new Reader(sink);
  const onread: OnReadOpts = {
    // Called once before the first read and right after every callback.
    buffer: () => reader.next(),
    callback: (length) => reader.filled(length),
  };
  const options = { handle, onread, allowHalfOpen: true } as ConstructorParameters<typeof Socket>[0];
  const bulk = new Socket(options) as Internals;
  if (old.ssl !== undefined) bulk.ssl = old.ssl;
  // Before the relay's own listeners: what came before the end goes before the end.
  bulk.once('end', () => reader.flush());
  bulk.once('close', () => {
    reader.close();
    old.destroy();
  });
  old.once('close', () => bulk.destroy());
  return bulk;
}
