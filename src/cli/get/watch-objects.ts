import { setTimeout as wait } from 'node:timers/promises';
import { ExecPathError } from '../../common/errors.ts';
import { ApiStatusError, type KubeObject, type Table, TableText } from '../../kubeapi/index.ts';
import { requestTimeoutMs } from '../client-flags.ts';
import { ACCEPT_TABLE, findObjects, findTable } from '../found-objects.ts';
import type { Io } from '../io.ts';
import { singularOf } from '../object-kinds.ts';
import type { Target } from '../targets.ts';
import { timeoutSignal } from '../timeout-signal.ts';
import type { ClusterCall } from '../with-client.ts';
import type { GetOptions } from './get-options.ts';
import { ObjectText } from './object-text.ts';
import type { OutputFormat } from './output-format.ts';
import { sortedBy } from './sort-objects.ts';

/** Waits between attempts to go on with a watch that broke; then the watch has failed. */
const PAUSES_MS = [500, 1000, 2000, 4000, 8000] as const;

type WatchedOptions = GetOptions & { readonly format: OutputFormat };

/** What a watch shows, as Tables or as objects. */
interface View<Form> {
  /** @returns the resource version to go on from */
  start(call: ClusterCall): Promise<string>;
  show(object: Form, event: string): Promise<void>;
  readonly accept?: string;
}

/**
 * `podwire get --watch`: first what is there, then each change as it comes. A watch that the server ends, or that
 * breaks, goes on from where it was; what the server has forgotten meanwhile is shown anew as a whole.
 *
 * @returns the exit code: as kubectl's 1 when it was stopped by a signal, 0 when `--request-timeout` was over
 */
export async function watchObjects(
  target: Target,
  options: WatchedOptions,
  call: ClusterCall,
  io: Io,
): Promise<number> {
  const { format } = options;
  if (options.sortBy !== '') {
    const rest = options.watch === 'only' ? '' : ' for watch events received';
    io.err.write(
      `warning: --watch${options.watch === 'only' ? '-only' : ''} requested, --sort-by will be ignored${rest}\n`,
    );
  }
  const follow = (scope: ClusterCall): Promise<void> =>
    format.kind === 'table'
      ? followView(target, tableView(target, { ...options, wide: format.wide }, io), { options, io }, scope)
      : followView(target, objectView(target, { ...options, format }, io), { options, io }, scope);
  const limitMs = requestTimeoutMs(options.values);
  const limit = limitMs === undefined ? undefined : timeoutSignal(limitMs);
  const signal = limit === undefined ? call.signal : AbortSignal.any([call.signal, limit]);
  try {
    await follow({ ...call, signal });
    return 0;
  } catch (thrown) {
    if (limit?.aborted === true) return 0;
    if (call.signal.aborted && (call.signal.reason as Error).message !== 'SIGPIPE') return 1;
    throw thrown;
  }
}

async function followView<Form extends KubeObject | Table>(
  target: Target,
  view: View<Form>,
  { options, io }: { readonly options: WatchedOptions; readonly io: Io },
  call: ClusterCall,
): Promise<void> {
  const { labelSelector, fieldSelector } = options;
  const { type, name, namespace } = target;
  const fields = name === undefined ? fieldSelector : `metadata.name=${name}`;
  let position: string | undefined;
  let attempt = 0;
  for (;;) {
    // A single object's version may be long forgotten: its watch starts at about now, with the object itself.
    let isRepeated = position === undefined && name !== undefined;
    try {
      position ??= await view.start(call);
      const events = call.client.watch<Form>(type as never, {
        namespace,
        labelSelector,
        fieldSelector: fields,
        resourceVersion: isRepeated ? '0' : position,
        bookmarks: !isRepeated,
        signal: call.signal,
        ...(view.accept === undefined ? {} : { accept: view.accept }),
      });
      for await (const event of events) {
        attempt = 0;
        position = event.object.metadata.resourceVersion ?? position;
        const isNew = !isRepeated && event.type !== 'BOOKMARK';
        if (event.type !== 'BOOKMARK') isRepeated = false;
        if (isNew) await view.show(event.object, event.type);
      }
    } catch (thrown) {
      const pauseMs = PAUSES_MS[attempt];
      if (call.signal.aborted || position === undefined || pauseMs === undefined) throw thrown;
      if (thrown instanceof ApiStatusError && thrown.httpStatus === 410) {
        position = undefined;
        continue;
      }
      if (!isBroken(thrown)) throw thrown;
      attempt += 1;
      io.err.write(`warning: ${thrown.message}; going on in ${pauseMs / 1000} s\n`);
      await wait(pauseMs, undefined, { signal: call.signal });
    }
  }
}

function isBroken(thrown: unknown): thrown is ExecPathError {
  const codes: readonly string[] = ['ERR_DIAL', 'ERR_DIAL_TIMEOUT', 'ERR_CONNECTION_LOST', 'ERR_API_TIMEOUT'];
  return thrown instanceof ExecPathError && codes.includes(thrown.code);
}

function tableView(target: Target, options: WatchedOptions & { readonly wide: boolean }, io: Io): View<Table> {
  const text = new TableText({
    wide: options.wide,
    headers: options.headers,
    namespaces: options.allNamespaces && target.type.namespaced,
    kind: options.showKind ? singularOf(target.type) : undefined,
    labelColumns: options.labelColumns,
    showLabels: options.showLabels,
    events: options.watchEvents,
  });
  return {
    accept: ACCEPT_TABLE,
    start: async (call) => {
      const { found, resourceVersion } = await findTable(target, options, call);
      const { sortBy } = options;
      const rows = sortBy === '' ? found.rows : sortedBy(found.rows, sortBy, ({ object }) => object);
      if (options.watch === 'after') io.out.write(text.format({ ...found, rows }, 'ADDED'));
      return resourceVersion;
    },
    show: async (table, event) => {
      io.out.write(text.format(table, event));
    },
  };
}

function objectView(
  target: Target,
  options: WatchedOptions & { readonly format: Exclude<OutputFormat, { kind: 'table' }> },
  io: Io,
): View<KubeObject> {
  const text = new ObjectText(options.format, options);
  const show = async (object: KubeObject, type: string): Promise<void> => {
    io.out.write(text.format(options.watchEvents ? { type, object } : object));
  };
  return {
    start: async (call) => {
      const { found, resourceVersion } = await findObjects(target, options, call);
      const { sortBy } = options;
      const items = sortBy === '' ? found : sortedBy(found, sortBy, (object) => object);
      if (options.watch === 'after') for (const object of items) await show(object, 'ADDED');
      return resourceVersion;
    },
    show,
  };
}
