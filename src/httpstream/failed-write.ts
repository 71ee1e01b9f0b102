import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { CLOSE_LINGER_MS } from './connection.ts';

type Done = (error?: Error | null) => void;

const failedSockets = new WeakSet<Duplex>();

/** Whether a write was dropped: the peer has not taken all that was sent, though no callback says so. */
export function hasFailedWrite(socket: Duplex): boolean {
  return failedSockets.has(socket);
}

/**
 * A peer that has said its last word and closed answers whatever still comes with a reset. Its last word, a Status
 * perhaps, can be read all the same; but Node destroys a socket whose write fails, with all that was not read yet. From
 * this call on a write that fails is dropped, and so are those after it: how the connection ended is what reading says.
 *
 * A peer that then says nothing more for `quietMs`, default {@link CLOSE_LINGER_MS}, is given up with the error of the write.
 *
 * For connections that we opened: of a client that is gone nothing is worth to be read. Anything but a socket is left
 * as it is.
 *
 * @see tcp(7), unix(7): ECONNRESET and EPIPE
 */
export function readOnAfterFailedWrite(socket: Duplex, { quietMs = CLOSE_LINGER_MS } = {}): void {
  if (!(socket instanceof Socket)) return;
  const failed = (error: Error): void => {
    failedSockets.add(socket);
    let seen = socket.bytesRead;
    const quiet = setTimeout(() => {
      if (socket.bytesRead === seen) {
        socket.destroy(error);
        return;
      }
      seen = socket.bytesRead;
      quiet.refresh();
    }, quietMs).unref();
    socket.once('close', () => clearTimeout(quiet));
  };
  const lenient =
    (done: Done): Done =>
    (error) => {
      if (error === undefined || error === null || socket.destroyed) {
        done(error);
        return;
      }
      if (!failedSockets.has(socket)) failed(error);
      done();
    };
  const write = socket._write.bind(socket);
  socket._write = (chunk, encoding, done) => {
    if (failedSockets.has(socket)) done();
    else write(chunk, encoding, lenient(done));
  };
  const writev = socket._writev?.bind(socket);
  if (writev === undefined) return;
  socket._writev = (chunks, done) => {
    if (failedSockets.has(socket)) done();
    else writev(chunks, lenient(done));
  };
}
