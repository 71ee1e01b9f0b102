import type { Duplex } from 'node:stream';

/** TCP's own first probe after so many ms of silence. */
const TCP_KEEPALIVE_MS = 30_000;

/** Small frames leave at once, and TCP finds a vanished host; without effect on what is not a TCP or TLS socket. */
export function setTcpOptions(socket: Duplex): void {
  if ('setNoDelay' in socket && typeof socket.setNoDelay === 'function') socket.setNoDelay(true);
  if ('setKeepAlive' in socket && typeof socket.setKeepAlive === 'function') {
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
  }
}
