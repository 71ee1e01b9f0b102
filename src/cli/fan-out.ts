import type { Readable } from 'node:stream';
import { type ExecOptions, exec, startFailureCode } from '../client/index.ts';
import { ExecPathError, toError } from '../common/errors.ts';
import { failed, type Outcome } from '../common/outcome.ts';
import type { Paint, Style } from './colours.ts';
import { PATH_FAILURE_CODE } from './exit-code.ts';
import type { LocalOutput } from './io.ts';
import { LineSplitter } from './line-splitter.ts';

/** Sessions at once; the others wait for their turn. */
export const MAX_SESSIONS_AT_ONCE = 50;

/** One container that a line runs in. */
export interface FanOutTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

export interface FanOutResult {
  readonly target: FanOutTarget;
  readonly outcome: Outcome;
  /** The command's own code, 126 and 127 when it could not be started, 125 when the path failed. */
  readonly code: number;
}

export interface FanOutOptions {
  /** The rest of each session; `signal` ends them all. */
  readonly session: Omit<ExecOptions, keyof FanOutTarget>;
  readonly out: LocalOutput;
  readonly err: LocalOutput;
  readonly paint: Paint;
  /** The pod's name before each line. Without it bytes pass as they are. */
  readonly prefixed: boolean;
}

const colours: readonly Style[] = [
  'cyan',
  'yellow',
  'green',
  'magenta',
  'blue',
  'cyanBright',
  'yellowBright',
  'greenBright',
];

/**
 * Runs one command in several containers at once. stdin is empty. Never rejects: what goes wrong in one pod is its
 * outcome and stops no other.
 *
 * @returns one result for each target, in their order
 */
export async function fanOut(targets: readonly FanOutTarget[], options: FanOutOptions): Promise<FanOutResult[]> {
  const width = Math.max(0, ...targets.map(({ pod }) => pod.length));
  const results = new Map<number, FanOutResult>();
  const queue = [...targets.entries()];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, target] = next;
      const colour = colours[index % colours.length] ?? 'cyan';
      const prefix = options.prefixed ? `${options.paint(colour, target.pod.padEnd(width))} │ ` : undefined;
      results.set(index, resultOf(target, await runOne(target, options, prefix)));
    }
  };
  await Promise.all(Array.from({ length: Math.min(MAX_SESSIONS_AT_ONCE, targets.length) }, worker));
  return targets.flatMap((_target, index) => results.get(index) ?? []);
}

function resultOf(target: FanOutTarget, outcome: Outcome): FanOutResult {
  const code = outcome.kind === 'exited' ? outcome.code : (startFailureCode(outcome.error) ?? PATH_FAILURE_CODE);
  return { target, outcome, code };
}

async function runOne(
  target: FanOutTarget,
  { session: options, out, err }: FanOutOptions,
  prefix: string | undefined,
): Promise<Outcome> {
  try {
    const session = await exec({ ...options, ...target });
    const ends = [copy(session.stdout, out, prefix), copy(session.stderr, err, prefix)];
    const outcome = await session.completed;
    await Promise.all(ends);
    return outcome;
  } catch (thrown) {
    const error = thrown instanceof ExecPathError ? thrown : new ExecPathError('ERR_INTERNAL', toError(thrown).message);
    return failed(error);
  }
}

/** Copies with back-pressure, line by line behind `prefix`; resolves when the source has ended. */
function copy(source: Readable | undefined, target: LocalOutput, prefix: string | undefined): Promise<void> {
  if (source === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    let taken = true;
    const write = (bytes: Buffer | string): void => {
      if (!target.destroyed) taken = target.write(bytes);
    };
    const lines =
      prefix === undefined
        ? undefined
        : new LineSplitter((line) => write(Buffer.concat([Buffer.from(prefix), line, Buffer.from('\n')])));
    const goOn = (): void => {
      if (!source.destroyed) source.resume();
    };
    source.on('data', (chunk: Buffer) => {
      taken = true;
      if (lines === undefined) write(chunk);
      else lines.push(chunk);
      if (!taken && !target.destroyed) source.pause();
    });
    target.on('drain', goOn).once('close', goOn);
    source.once('close', () => {
      lines?.end();
      target.off('drain', goOn).off('close', goOn);
      resolve();
    });
  });
}
