import { constants } from 'node:os';
import type { Io, LocalOutput } from './io.ts';

/** The signals by which people and supervisors end a program. */
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const satisfies readonly NodeJS.Signals[];

/**
 * The wish that a command ends: the first signal asks, the second ends the process at once.
 *
 * Owns: the handlers of the signals and the listener at an output, until disposed of.
 */
export class Interruption implements Disposable {
  readonly #control = new AbortController();
  readonly #cleanups: (() => unknown)[] = [];
  #exitCode: number | undefined;

  constructor(io: Io) {
    const release = io.onSignal(ENDING_SIGNALS, (name) => {
      const code = 128 + constants.signals[name];
      if (this.#exitCode !== undefined) io.forceExit(code);
      this.#end(code, name);
    });
    this.#cleanups.push(release);
  }

  /**
   * The reader of `out` left (`| head -1`): for a command that writes what a peer sends, that is the signal SIGPIPE.
   *
   * Not what wire.md 7.2 says of the library, which reads on and drops: kubectl 1.32, being a Go program, dies by SIGPIPE
   * then (seen: `kubectl exec POD -- yes | head -1` ends with 141). Reading on would never end for an endless command.
   */
  endWithReaderOf(out: LocalOutput): void {
    const onError = (): void => this.#end(128 + constants.signals.SIGPIPE, 'SIGPIPE');
    if (out.destroyed) onError();
    else out.once('error', onError);
    this.#cleanups.push(() => out.off('error', onError));
  }

  /** Aborted by the first signal. */
  get signal(): AbortSignal {
    return this.#control.signal;
  }

  /** 128 + the signal's number, as a shell says it; undefined while there was none. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  /** Resolves at the first signal. */
  async wait(): Promise<void> {
    if (this.signal.aborted) return;
    await new Promise((resolve) => this.signal.addEventListener('abort', resolve, { once: true }));
  }

  [Symbol.dispose](): void {
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
  }

  #end(code: number, why: string): void {
    this.#exitCode ??= code;
    this.#control.abort(new Error(why));
  }
}
