import type { IncomingMessage } from 'node:http';
import { subprotocols } from '../common/subprotocols.ts';
import { isWebSocketUpgrade, offeredProtocols } from '../httpstream/index.ts';

/** Does the request ask for an upgrade at all? Upstream looks for the word anywhere in `Connection`. */
export function isUpgrade(request: IncomingMessage): boolean {
  return (request.headers.connection ?? '').toLowerCase().includes('upgrade');
}

/** Must this hop or a later one translate for a server that only speaks SPDY? v5 needs it; v4 and v1 pass as they are. */
export function needsTranslation(request: IncomingMessage): boolean {
  return isWebSocketUpgrade(request) && offeredProtocols(request).includes(subprotocols.v5);
}
