import { join } from 'node:path';
import type { Io } from './io.ts';

/** Where podwire keeps its state by default: `$XDG_STATE_HOME/podwire`, else `~/.local/state/podwire`. */
export function stateFolder({ env, home }: Pick<Io, 'env' | 'home'>): string {
  const base = env['XDG_STATE_HOME'] ?? '';
  return join(base.startsWith('/') ? base : join(home, '.local', 'state'), 'podwire');
}
