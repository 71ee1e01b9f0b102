import { styleText } from 'node:util';
import type { Io, LocalOutput } from './io.ts';

export type Style = Parameters<typeof styleText>[0];

/** Colours text when it goes to a terminal and nobody asked for none (`NO_COLOR`, `TERM=dumb`). */
export type Paint = (style: Style, text: string) => string;

/** The paint for what is written to `target`. @see no-color.org */
export function paintFor(target: LocalOutput, { env }: Pick<Io, 'env'>): Paint {
  const plain = target.isTTY !== true || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return plain ? (_style, text) => text : (style, text) => styleText(style, text);
}
