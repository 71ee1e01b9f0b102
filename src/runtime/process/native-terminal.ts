import { chownSync, closeSync, constants, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { TerminalSize } from '../../common/terminal-size.ts';
import type { ProcessUser } from './command-lookup.ts';

/** The part of the PTY package that we use; it is not its public API, so the version is pinned and this is checked. */
export interface NativePty {
  open(columns: number, rows: number): { readonly master: number; readonly slave: number; readonly pty: string };
  resize(master: number, columns: number, rows: number, pixelWidth: number, pixelHeight: number): void;
}

let loaded: NativePty | null | undefined;

/** The native code, or undefined where none is installed for this platform. */
export function nativePty(): NativePty | undefined {
  if (loaded === undefined) {
    try {
      const native: unknown = (createRequire(import.meta.url)('@lydell/node-pty') as { native?: unknown }).native;
      loaded = isNativePty(native) ? native : null;
    } catch {
      loaded = null;
    }
  }
  return loaded ?? undefined;
}

function isNativePty(value: unknown): value is NativePty {
  if (typeof value !== 'object' || value === null) return false;
  return 'open' in value && typeof value.open === 'function' && 'resize' in value && typeof value.resize === 'function';
}

/** A pseudo terminal. Descriptors: the caller's to close. */
export interface PseudoTerminal {
  /** Non-blocking. **Inherited by every child** that is not told otherwise. */
  readonly master: number;
  /** Closes on exec. */
  readonly slave: number;
}

/**
 * Opens a pseudo terminal of `size`.
 *
 * @param user who may open `/dev/tty` and `/dev/pts/N` again
 */
export function openTerminal(pty: NativePty, size: TerminalSize, user?: ProcessUser): PseudoTerminal {
  const opened = pty.open(size.width, size.height);
  try {
    // The slave that comes with it would be inherited too; this one is not.
    const slave = openSync(opened.pty, constants.O_RDWR | constants.O_NOCTTY);
    if (user !== undefined && process.getuid?.() === 0) chownSync(opened.pty, user.uid, user.gid);
    return { master: opened.master, slave };
  } catch (thrown) {
    closeSync(opened.master);
    throw thrown;
  } finally {
    closeSync(opened.slave);
  }
}
