import { type KubeObject, type Table, TableText } from '../../kubeapi/index.ts';
import type { ClientFlagValues } from '../client-flags.ts';
import { tellFailures } from '../failure-text.ts';
import { type Answers, type Found, findAll, findObjects, findTable } from '../found-objects.ts';
import type { Io } from '../io.ts';
import { singularOf } from '../object-kinds.ts';
import { readTargets, type Target } from '../targets.ts';
import { UsageError } from '../usage-error.ts';
import { type ClusterCall, withClient } from '../with-client.ts';
import { writeAnswer } from '../write-answer.ts';
import type { GetOptions } from './get-options.ts';
import { loadFormat } from './load-format.ts';
import { ObjectText } from './object-text.ts';
import type { OutputFormat } from './output-format.ts';
import { sortedBy } from './sort-objects.ts';
import { watchObjects } from './watch-objects.ts';

/** `podwire get`. @returns the exit code */
export async function getObjects(options: GetOptions, io: Io): Promise<number> {
  const format = await loadFormat(options.format);
  const targetsIn = await readTargets(options, io);
  return withClient(options.values, io, async (call) => {
    const { targets, failures } = await targetsIn(call);
    const [target, ...others] = targets;
    if (options.watch !== 'no' && target !== undefined) {
      if (others.length > 0) throw new UsageError('you may only specify a single resource type');
      return watchObjects(target, { ...options, format }, call, io);
    }
    const { ignoreNotFound } = options;
    const scope = { ignoreNotFound, failures, signal: call.signal };
    if (format.kind === 'table') {
      const found = await findAll(targets, (one) => findTable(one, options, call), scope);
      return showTables(found, { ...options, wide: format.wide }, { io, targets, namespace: call.namespace });
    }
    const found = await findAll(targets, (one) => findObjects(one, options, call), scope);
    return showObjects(found, { ...options, format }, { io, targets });
  });
}

/** `--raw`: the answer as it comes. */
export async function getRaw(path: string, values: ClientFlagValues, io: Io): Promise<number> {
  return withClient(values, io, async ({ client, signal }: ClusterCall) => {
    const { pathname, searchParams } = new URL(path, 'http://server');
    const names = [...new Set(searchParams.keys())];
    const query = Object.fromEntries(names.map((name) => [name, searchParams.getAll(name)]));
    await writeAnswer(await client.stream('GET', pathname, { query, signal }), io);
    return 0;
  });
}

interface Place {
  readonly io: Io;
  readonly targets: readonly Target[];
}

function showTables(
  { answers, failures }: Answers<Table>,
  options: GetOptions & { readonly wide: boolean },
  { io, targets, namespace }: Place & { readonly namespace: string },
): number {
  const groups = tablesByType(answers, options);
  const hasKinds = options.showKind || new Set(answers.map(({ target }) => target.type)).size > 1;
  let written = 0;
  for (const { target, found } of groups) {
    const text = new TableText({
      wide: options.wide,
      headers: options.headers,
      namespaces: options.allNamespaces && target.type.namespaced,
      kind: hasKinds ? singularOf(target.type) : undefined,
      labelColumns: options.labelColumns,
      showLabels: options.showLabels,
    }).format(found);
    if (text !== '' && written > 0 && options.headers) io.out.write('\n');
    io.out.write(text);
    written += text.length;
  }
  if (written === 0 && failures.length === 0 && !options.ignoreNotFound) {
    const isOfOne = !options.allNamespaces && targets.every(({ type }) => type.namespaced);
    io.err.write(isOfOne ? `No resources found in ${namespace} namespace.\n` : 'No resources found\n');
  }
  return tellFailures(failures, io, options.values);
}

/** What stands one behind the other and is of one type makes one table. */
function tablesByType(answers: readonly Found<Table>[], { sortBy }: GetOptions): Found<Table>[] {
  const groups: Found<Table>[] = [];
  for (const answer of answers) {
    const rows = sortBy === '' ? answer.found.rows : sortedBy(answer.found.rows, sortBy, ({ object }) => object);
    const before = groups.at(-1);
    if (before?.target.type === answer.target.type) {
      const all = [...before.found.rows, ...rows];
      groups[groups.length - 1] = { ...before, found: { ...before.found, rows: all } };
    } else groups.push({ ...answer, found: { ...answer.found, rows } });
  }
  return groups;
}

async function showObjects(
  { answers, failures }: Answers<readonly KubeObject[]>,
  options: GetOptions & { readonly format: Exclude<OutputFormat, { kind: 'table' }> },
  { io, targets }: Place,
): Promise<number> {
  const objects = answers.flatMap(({ found }) => found);
  const [first, ...more] = objects;
  const isSingle = targets.length === 1 && targets[0]?.name !== undefined;
  if ((isSingle && first === undefined) || (objects.length === 0 && options.ignoreNotFound)) {
    return tellFailures(failures, io, options.values);
  }
  const text = new ObjectText(options.format, options);
  const items = options.sortBy === '' ? objects : sortedBy(objects, options.sortBy, (object) => object);
  const whole =
    isSingle && first !== undefined && more.length === 0
      ? first
      : ({ apiVersion: 'v1', kind: 'List', metadata: { resourceVersion: '' }, items } as const);
  io.out.write(text.format(whole));
  return tellFailures(failures, io, options.values);
}
