import { createInterface, type Interface } from 'node:readline';
import type { Transport } from '../kubeapi/index.ts';
import { type Paint, paintFor } from './colours.ts';
import { PATH_FAILURE_CODE } from './exit-code.ts';
import { failureText } from './failure-text.ts';
import { type FanOutResult, fanOut } from './fan-out.ts';
import { Interruption } from './interruption.ts';
import type { Io } from './io.ts';
import type { ShellOptions } from './shell-command.ts';
import { HISTORY_LINES, ShellHistory } from './shell-history.ts';
import { findTargets, type TargetQuery } from './shell-targets.ts';

/** Exit code of a line that ctrl-C ended: 128 + SIGINT. */
const INTERRUPTED_CODE = 130;

/**
 * Reads lines and runs each of them, one after the other.
 *
 * waiting ─line→ running ─all ended, ctrl-C→ waiting · waiting ─exit, ctrl-D, a signal→ left
 */
export class ShellPrompt {
  readonly #api: Transport;
  readonly #io: Io;
  readonly #options: ShellOptions;
  readonly #query: TargetQuery;
  readonly #history: ShellHistory;
  readonly #paint: Paint;
  /** Ends the line that runs. */
  #running: AbortController | undefined;
  #lastCode = 0;

  constructor(api: Transport, options: ShellOptions, io: Io) {
    const { values, pod, selector } = options;
    this.#api = api;
    this.#io = io;
    this.#options = options;
    this.#query = { namespace: values.namespace ?? api.namespace, pod, selector, container: values.container };
    this.#history = new ShellHistory(options.historyFile);
    this.#paint = paintFor(io.err, io);
  }

  /** @returns the code of the last line, or what `exit N` says */
  async run(): Promise<number> {
    const { inIsTerminal, out } = this.#io;
    using interruption = new Interruption(this.#io);
    interruption.endWithReaderOf(out);
    // Nobody should type a line to learn that the pod is not there.
    const count = (await findTargets(this.#api, this.#query, interruption.signal)).length;
    const terminal = inIsTerminal && out.isTTY === true;
    const reader = createInterface({
      input: this.#io.input(),
      ...(terminal ? { output: out } : {}),
      terminal,
      history: terminal ? await this.#history.load() : [],
      historySize: HISTORY_LINES,
      removeHistoryDuplicates: true,
    });
    const name = this.#query.pod ?? `${this.#query.selector ?? ''} (${count})`;
    reader.setPrompt(terminal ? `${name}> ` : '');
    reader.on('SIGINT', () => this.#interrupt(reader));
    // After ctrl-Z and `fg` readline has paused, and waits to be asked for more.
    reader.on('SIGCONT', () => reader.resume());
    interruption.signal.addEventListener('abort', () => {
      this.#running?.abort();
      reader.close();
    });
    const leaveList = this.#io.atExit(() => reader.close());
    const code = await this.#readLines(reader, { terminal, signal: interruption.signal });
    leaveList();
    return interruption.exitCode ?? code;
  }

  /** Lines that were read ahead are not run once `signal` is aborted. */
  async #readLines(
    reader: Interface,
    { terminal, signal }: { readonly terminal: boolean; readonly signal: AbortSignal },
  ): Promise<number> {
    // Before the first prompt: lines that come earlier than the iterator would be lost.
    const lines = reader[Symbol.asyncIterator]();
    reader.prompt();
    try {
      for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
        if (signal.aborted) break;
        const line = next.value;
        const [, leave, code] = /^\s*(exit)(?:\s+(\d{1,3}))?\s*;?\s*$/.exec(line) ?? [];
        if (leave !== undefined) return code === undefined ? this.#lastCode : Number(code) & 0xff;
        if (line.trim() !== '') {
          if (terminal) await this.#history.add(line);
          this.#lastCode = await this.#runLine(line);
        }
        reader.prompt();
      }
      if (terminal) this.#io.out.write('\n');
      return this.#lastCode;
    } finally {
      reader.close();
    }
  }

  /** At the prompt it throws the line away, as shells do. */
  #interrupt(reader: Interface): void {
    if (this.#running !== undefined) {
      this.#io.err.write('^C\n');
      this.#running.abort();
      return;
    }
    this.#io.out.write('^C\n');
    reader.write(null, { ctrl: true, name: 'u' });
    reader.prompt();
  }

  async #runLine(line: string): Promise<number> {
    const running = new AbortController();
    this.#running = running;
    const { values } = this.#options;
    try {
      const targets = await findTargets(this.#api, this.#query, running.signal);
      const results = await fanOut(targets, {
        session: {
          api: this.#api,
          command: [values.shell ?? 'sh', '-c', line],
          transport: values.transport,
          signal: running.signal,
        },
        out: this.#io.out,
        err: this.#io.err,
        paint: paintFor(this.#io.out, this.#io),
        prefixed: this.#query.pod === undefined,
      });
      if (running.signal.aborted) return INTERRUPTED_CODE;
      return this.#summary(results);
    } catch (thrown) {
      if (running.signal.aborted) return INTERRUPTED_CODE;
      this.#io.err.write(failureText(thrown, { namespace: this.#query.namespace }));
      return PATH_FAILURE_CODE;
    } finally {
      this.#running = undefined;
    }
  }

  /** What failed, and in which pods; a server that is gone is one failure of all of them. */
  #failures(results: readonly FanOutResult[]): Map<string, string[]> {
    const failures = new Map<string, string[]>();
    for (const { target, outcome } of results) {
      if (outcome.kind !== 'failed') continue;
      const text = failureText(outcome.error, { ...target, hop: outcome.hop });
      failures.set(text, [...(failures.get(text) ?? []), target.pod]);
    }
    return failures;
  }

  /** Says how it ended. @returns 0 when all are 0, else the first other code */
  #summary(results: readonly FanOutResult[]): number {
    const { err } = this.#io;
    for (const [text, names] of this.#failures(results)) {
      err.write(this.#query.pod === undefined ? `${this.#paint('red', names.join(', '))}\n${text}` : text);
    }
    const code = results.find((result) => result.code !== 0)?.code ?? 0;
    if (this.#query.pod !== undefined) {
      if (code !== 0) err.write(this.#paint('red', `exit ${code}\n`));
      return code;
    }
    const codes = [...new Set(results.map((result) => result.code))].sort((left, right) => left - right);
    const parts = codes.map((each) => {
      const names = results.filter((result) => result.code === each).map(({ target }) => target.pod);
      const who = each === 0 && names.length > 3 ? `${names.length} pods` : names.join(', ');
      return this.#paint(each === 0 ? 'green' : 'red', `exit ${each}: ${who}`);
    });
    err.write(`${parts.join('; ')}\n`);
    return code;
  }
}
