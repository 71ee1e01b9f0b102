import type { IncomingMessage } from 'node:http';

/**
 * Replaces all lines of a header by one, or removes them, in all views that Node gives of a request's headers: whoever
 * gets the request afterwards sees no trace of the old ones.
 *
 * @param name in lower case
 */
export function replaceHeader(request: IncomingMessage, name: string, value: string | undefined): void {
  // Node makes both from the raw lines when they are first asked for, and counts on those to be as they came.
  const { headers, headersDistinct } = request;
  delete headers[name];
  delete headersDistinct[name];
  if (value !== undefined) {
    headers[name] = value;
    headersDistinct[name] = [value];
  }
  const raw: string[] = [];
  let isReplaced = false;
  for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) {
    const [key = '', old = ''] = request.rawHeaders.slice(at, at + 2);
    if (key.toLowerCase() !== name) raw.push(key, old);
    else if (value !== undefined && !isReplaced) {
      raw.push(key, value);
      isReplaced = true;
    }
  }
  request.rawHeaders.splice(0, request.rawHeaders.length, ...raw);
}
