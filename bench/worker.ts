import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** How long a process may take to answer, in ms, where the question names no time. */
const ANSWER_TIMEOUT_MS = 60_000;

type Reply = { readonly id: number } & ({ readonly answer: unknown } | { readonly error: string });

/**
 * A Node process of the bench's own, so that each hop, source and sink has its own thread, heap and CPU time.
 *
 * Owns: the process. It ends itself when its parent is gone.
 */
export class Worker implements AsyncDisposable {
  readonly #child: ChildProcess;
  #questions = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** @param name of a module in `processes/` */
  static async start(name: string, config: unknown, nodeOptions: readonly string[] = []): Promise<Worker> {
    const path = fileURLToPath(new URL(`processes/${name}.js`, import.meta.url));
    const worker = new Worker(fork(path, [], { execArgv: ['--expose-gc', ...nodeOptions] }));
    try {
      await worker.ask('start', config);
      return worker;
    } catch (error) {
      await worker[Symbol.asyncDispose]();
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /**
   * @throws Error what the process threw, or that it ended or kept silent for `timeoutMs`
   */
  async ask<Answer>(question: string, about: unknown = {}, timeoutMs = ANSWER_TIMEOUT_MS): Promise<Answer> {
    const id = (this.#questions += 1);
    const child = this.#child;
    return await new Promise<Answer>((resolve, reject) => {
      const cleanup = (): void => {
        clearTimeout(timer);
        child.off('message', onMessage).off('exit', onExit);
      };
      const fail = (message: string): void => {
        cleanup();
        reject(new Error(`${child.spawnargs.at(-1) ?? ''} ${question}: ${message}`));
      };
      const onExit = (code: number | null): void => fail(`the process ended with ${code}`);
      const onMessage = (reply: Reply): void => {
        if (reply.id !== id) return;
        if ('error' in reply) return fail(reply.error);
        cleanup();
        return resolve(reply.answer as Answer);
      };
      const timer = setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs);
      child.on('message', onMessage).on('exit', onExit);
      if (!child.connected) fail('the process has ended');
      else child.send({ id, question, about });
    });
  }

  /** Asks it to close what it holds, and kills it after 5 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    const guard = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    if (this.#child.connected) this.#child.disconnect();
    await exited;
    clearTimeout(guard);
  }
}

/** What a process of `processes/` can be asked. `start` comes first, `close` when the parent let go of it. */
export type Answers = Readonly<Record<string, (about: never) => unknown>>;

/** Answers the parent's questions until it disconnects; then runs `close` and ends. */
export function answerParent(answers: Answers): void {
  process.on('message', ({ id, question, about }: { id: number; question: string; about: unknown }) => {
    void (async () => {
      try {
        const answer = answers[question];
        if (answer === undefined) throw new Error(`unknown question ${question}`);
        process.send?.({ id, answer: (await answer(about as never)) ?? null });
      } catch (error) {
        process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      }
    })();
  });
  process.once('disconnect', () => {
    void Promise.resolve(answers['close']?.({} as never)).finally(() => process.exit());
  });
}
