import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { ExecPathError, toError } from '../../common/errors.ts';
import { isNotFound, type Pod, pods, type Query, resourcePath } from '../../kubeapi/index.ts';
import type { Io, LocalOutput } from '../io.ts';
import { listRefusal } from '../list-refusal.ts';
import { missingCause } from '../missing-namespace.ts';
import { UsageError } from '../usage-error.ts';
import type { ClusterCall } from '../with-client.ts';
import { brokenAnswer, writeAnswer } from '../write-answer.ts';
import { LogLines } from './log-lines.ts';
import { type ContainerSelection, type LogSource, logSourcesOf } from './log-sources.ts';

/** What `podwire logs` was asked for. */
export interface LogsOptions extends ContainerSelection {
  /** Absent: those that the selector finds. */
  readonly pod: string | undefined;
  readonly labelSelector: string | undefined;
  readonly follow: boolean;
  /** The source before each line. */
  readonly prefix: boolean;
  readonly ignoreErrors: boolean;
  /** Logs that are followed at once. */
  readonly maxRequests: number;
  /** What the server is asked of each log, but for the container. */
  readonly query: Query;
}

/** Shows the logs of the pods that are meant. @returns the exit code */
export async function showLogs(options: LogsOptions, call: ClusterCall, io: Io): Promise<number> {
  const found = await podsOf(options, call);
  if (found.length === 0) io.err.write(`No resources found in ${call.namespace} namespace.\n`);
  const sources = found.flatMap((pod) => logSourcesOf(pod, options, io));
  const atOnce = options.follow && sources.length > 1;
  if (atOnce && sources.length > options.maxRequests) {
    throw new UsageError(
      `you are attempting to follow ${sources.length} log streams, but maximum allowed concurrency is ` +
        `${options.maxRequests}, use --max-log-requests to increase the limit`,
    );
  }
  if (atOnce) await followAll(sources, options, call, io);
  else for (const source of sources) await show(source, { ...options, atOnce }, call, io);
  return 0;
}

async function podsOf({ pod, labelSelector }: LogsOptions, call: ClusterCall): Promise<readonly Pod[]> {
  const { client, namespace, signal } = call;
  if (pod === undefined) {
    const list = client.list(pods, { namespace, labelSelector, signal });
    const { items } = await list.catch((thrown: unknown) => {
      throw listRefusal(thrown, pods, { labelSelector });
    });
    return items;
  }
  const found = client.get(pods, pod, { namespace, signal });
  return [
    await found.catch(async (thrown: unknown) => {
      const cause = await missingCause(thrown, namespace, call);
      if (!isNotFound(cause)) throw cause;
      const message = `error from server (NotFound): ${cause.message} in namespace ${JSON.stringify(namespace)}`;
      throw new ExecPathError('ERR_NOT_FOUND', message, { hop: 'apiserver', cause });
    }),
  ];
}

/** All at once, line by line. The first one that fails ends the others, unless failures are ignored. */
async function followAll(
  sources: readonly LogSource[],
  options: LogsOptions,
  call: ClusterCall,
  io: Io,
): Promise<void> {
  const end = new AbortController();
  const signal = AbortSignal.any([call.signal, end.signal]);
  let failure: { readonly thrown: unknown } | undefined;
  await Promise.all(
    sources.map((source) =>
      show(source, { ...options, atOnce: true }, { ...call, signal }, io).catch((thrown: unknown) => {
        failure ??= { thrown };
        end.abort(thrown);
      }),
    ),
  );
  if (failure !== undefined) throw failure.thrown;
}

async function show(
  source: LogSource,
  options: LogsOptions & { readonly atOnce: boolean },
  { client, signal, namespace: chosen }: ClusterCall,
  io: Io,
): Promise<void> {
  const { namespace = chosen, pod, container } = source;
  const { query, prefix, atOnce, ignoreErrors } = options;
  const path = `${resourcePath(pods, { namespace, name: pod })}/log`;
  try {
    const answer = await client.stream('GET', path, { signal, query: { ...query, container } });
    if (!prefix && !atOnce) return await writeAnswer(answer, io);
    await writeLines(answer, new LogLines(prefix ? `[pod/${pod}/${container}] ` : ''), io.out);
  } catch (thrown) {
    if (!ignoreErrors || signal.aborted) throw thrown;
    // As kubectl: on stdout, where it stands among what the logs said.
    io.out.write(`error: ${toError(thrown).message}\n`);
  }
}

async function writeLines(answer: IncomingMessage, lines: LogLines, out: LocalOutput): Promise<void> {
  const write = async (bytes: Buffer): Promise<void> => {
    if (bytes.length > 0 && !out.destroyed && !out.write(bytes)) await drained(out);
  };
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) await write(lines.take(chunk));
  } catch (thrown) {
    await write(lines.rest());
    throw await brokenAnswer(thrown);
  }
  await write(lines.rest());
}

/** By output, so that many who wait for one do not each listen. */
const draining = new WeakMap<LocalOutput, Promise<unknown>>();

/** Resolves when the output takes more, or will never again. */
function drained(out: LocalOutput): Promise<unknown> {
  const waiting = draining.get(out);
  if (waiting !== undefined) return waiting;
  const done = new AbortController();
  const events = ['drain', 'close', 'error'].map((name) => once(out, name, { signal: done.signal }));
  const first = Promise.race(events.map((event) => event.catch(() => undefined))).finally(() => {
    draining.delete(out);
    done.abort();
  });
  draining.set(out, first);
  return first;
}
