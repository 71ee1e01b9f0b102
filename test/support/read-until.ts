import type { Readable } from 'node:stream';

/** Reads until what came has `wanted` in it, and leaves the stream as it is. @returns all that came */
export async function readUntil(stream: Readable, wanted: string): Promise<string> {
  let text = '';
  while (!text.includes(wanted)) {
    const chunk = stream.read() as Buffer | null;
    if (chunk === null) await new Promise((resolve) => stream.once('readable', resolve));
    else text += chunk.toString();
  }
  return text;
}
