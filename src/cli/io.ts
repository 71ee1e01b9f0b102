import type { Readable, Writable } from 'node:stream';

/** Local stdin. */
export interface LocalInput extends Readable {
  /** Only of a terminal. */
  setRawMode?(mode: boolean): unknown;
  /** From now on it keeps the process alive no longer. */
  unref?(): unknown;
}

/** Local stdout or stderr. */
export interface LocalOutput extends Writable {
  /** Set when it is a terminal. */
  readonly isTTY?: boolean;
  /** Of the terminal, in cells; `resize` is emitted when they change. */
  readonly columns?: number;
  readonly rows?: number;
}

/** What a command has of the process that it runs in. Only `main.ts` makes one from a real process. */
export interface Io {
  readonly inIsTerminal: boolean;
  /** Opened at the first call: an input that nobody reads is not touched. */
  readonly input: () => LocalInput;
  readonly out: LocalOutput;
  readonly err: LocalOutput;
  readonly env: NodeJS.ProcessEnv;
  /** The user's home directory. */
  readonly home: string;
  /** The words by which this process can be started again; none where there is no process of its own. */
  readonly command: readonly string[];
  /** podwire's version. */
  readonly version: string;
  /** Takes the place of the signals' default action. @returns gives it back */
  onSignal(names: readonly NodeJS.Signals[], listener: (name: NodeJS.Signals) => void): () => void;
  /** `undo` runs at every end of the process that can be noticed. @returns takes it off the list */
  atExit(undo: () => void): () => void;
  /** Ends the process at once, without waiting for anything. */
  forceExit(code: number): void;
}
