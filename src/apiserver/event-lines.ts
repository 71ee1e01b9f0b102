import type { ApiObject } from './api-object.ts';
import type { ObjectWatchEvent } from './object-watch.ts';

/** Events whose lines are kept. Watches that are not behind are at most a few events apart. */
const MAX_LINES = 128;

interface Line {
  readonly type: string;
  readonly bytes: Buffer;
}

/** The lines of the newest events, so that an event is made into JSON once and not for each watch. */
export class EventLines {
  readonly #lines = new Map<ApiObject, Line>();

  /** @param event whose object is the same one for every watch */
  lineOf({ type, object }: Exclude<ObjectWatchEvent, { readonly type: 'BOOKMARK' }>): Buffer {
    const known = this.#lines.get(object);
    if (known?.type === type) return known.bytes;
    const bytes = Buffer.from(lineOf(type, object));
    this.#lines.set(object, { type, bytes });
    const [oldest] = this.#lines.keys();
    if (this.#lines.size > MAX_LINES && oldest !== undefined) this.#lines.delete(oldest);
    return bytes;
  }
}

/** One event of a watch as it is sent. */
export function lineOf(type: ObjectWatchEvent['type'] | 'ERROR', object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`;
}
