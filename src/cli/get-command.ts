import type { ServerOptions } from '../client/index.ts';
import type { KubeClient, KubeObject, List, ResourceType, Table } from '../kubeapi/index.ts';
import { clientFlags, requestTimeoutMs, serverOptions } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { boolFlag, choiceFlag, stringFlag } from './flag.ts';
import { Interruption } from './interruption.ts';
import type { Io } from './io.ts';
import { kindOf, kindWords, type NamedObjects, objectsNamedBy, resourceTypeOf, singularOf } from './object-kinds.ts';
import { UsageError } from './usage-error.ts';

const own = {
  output: choiceFlag(['', 'wide', 'json', 'yaml', 'name'], {
    short: 'o',
    value: 'wide|json|yaml|name',
    help: 'how to show them',
  }),
  selector: stringFlag({ short: 'l', value: 'SELECTOR', help: 'only those with these labels, such as app=web' }),
  'field-selector': stringFlag({ value: 'SELECTOR', help: 'only those with these fields, such as spec.nodeName=n1' }),
  'all-namespaces': boolFlag({ short: 'A', help: 'of every namespace' }),
  'no-headers': boolFlag({ help: 'no line of titles' }),
} as const;

const flags = { ...own, ...clientFlags } as const;

/** As kubectl asks: a Table, or the plain objects of a server that knows none. */
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

interface GetOptions {
  readonly objects: readonly NamedObjects[];
  readonly server: ServerOptions;
  readonly namespace: string | undefined;
  readonly allNamespaces: boolean;
  readonly output: '' | 'wide' | 'json' | 'yaml' | 'name';
  readonly headers: boolean;
  readonly timeoutMs: number | undefined;
  readonly labelSelector: string | undefined;
  readonly fieldSelector: string | undefined;
}

export const getCommand = defineCommand({
  name: 'get',
  summary: 'Show pods, nodes, namespaces and other objects',
  usage: '(TYPE [NAME…] | TYPE/NAME…) [flags]',
  description: `
Shows objects of the cluster as tables, or as they are with -o json and -o yaml. Types are pods, nodes,
namespaces, events, leases and serviceaccounts, also by kubectl's short names.`,
  examples: [
    { about: 'the pods of a namespace', line: 'podwire get pods -n shop' },
    { about: 'where pods with a label run', line: 'podwire get pods -l app=web -o wide' },
    { about: 'one pod as it is', line: 'podwire get pod web -o yaml' },
  ],
  groups: [
    { title: 'Options', flags: own },
    { title: 'Cluster', flags: clientFlags },
  ],
  flags,
  complete: ({ args, values }): GetOptions => {
    return {
      objects: objectsNamedBy(args, 'get'),
      server: serverOptions(values),
      namespace: values.namespace,
      allNamespaces: values['all-namespaces'],
      output: values.output,
      headers: !values['no-headers'],
      timeoutMs: requestTimeoutMs(values),
      labelSelector: values.selector,
      fieldSelector: values['field-selector'],
    };
  },
  validate: ({ objects, labelSelector, fieldSelector, allNamespaces }) => {
    if (objects.every(({ name }) => name === undefined)) return;
    if ((labelSelector ?? fieldSelector) !== undefined)
      throw new UsageError('a name and a selector exclude each other');
    if (allNamespaces) throw new UsageError('a name cannot be got across all namespaces');
  },
  run: runGet,
  suggest: async (request) => {
    const { args } = request.line;
    if (args.length === 0) return kindWords;
    const { suggestPods, suggestNamespaces } = await import('./suggest-objects.ts');
    const kind = kindOf(args[0] ?? '');
    if (kind === 'pods') return suggestPods(request);
    return kind === 'namespaces' ? suggestNamespaces(request) : [];
  },
});

async function runGet(options: GetOptions, io: Io): Promise<number> {
  using interruption = new Interruption(io);
  const { openServer } = await import('../client/index.ts');
  const { KubeClient, resourcePath } = await import('../kubeapi/index.ts');
  const api = await openServer(options.server);
  const { timeoutMs, output, labelSelector, fieldSelector } = options;
  const client: KubeClient = new KubeClient(api, {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    onWarning: (text) => io.err.write(`Warning: ${text}\n`),
  });
  try {
    const asTable = output === '' || output === 'wide';
    const answers: Got[] = [];
    for (const { kind, name } of options.objects) {
      const type = await resourceTypeOf(kind);
      const namespace = options.allNamespaces || !type.namespaced ? undefined : (options.namespace ?? api.namespace);
      const answer = await client.call<Answer>('GET', resourcePath(type, { namespace, name }), {
        signal: interruption.signal,
        query: { labelSelector, fieldSelector },
        ...(asTable ? { accept: TABLE } : {}),
      });
      answers.push({ type, answer });
    }
    await show(answers, options, io);
    return 0;
  } catch (thrown) {
    if (interruption.exitCode !== undefined) return interruption.exitCode;
    throw thrown;
  } finally {
    client.close();
  }
}

type Answer = Table | List<KubeObject> | KubeObject;

interface Got {
  readonly type: ResourceType<KubeObject>;
  readonly answer: Answer;
}

async function show(answers: readonly Got[], options: GetOptions, io: Io): Promise<void> {
  const { output, allNamespaces, headers } = options;
  const kubeapi = await import('../kubeapi/index.ts');
  const [first, ...others] = answers;
  if (first === undefined) return;
  if (output === 'json' || output === 'yaml') {
    const items = answers.map(({ answer }) => answer);
    const whole = others.length === 0 ? first.answer : { apiVersion: 'v1', kind: 'List', metadata: {}, items };
    io.out.write(output === 'json' ? `${JSON.stringify(whole, null, 4)}\n` : await kubeapi.formatYaml(whole));
    return;
  }
  if (output === 'name') {
    for (const { type, answer } of answers) {
      for (const { metadata } of itemsOf(answer)) io.out.write(`${singularOf(type)}/${metadata.name}\n`);
    }
    return;
  }
  for (const { type, table } of tablesOf(answers, (objects) => kubeapi.renderTable(kubeapi.plainLayout, objects))) {
    if (table.rows.length === 0) {
      const where = allNamespaces || !type.namespaced ? '' : ` in ${options.namespace ?? 'this'} namespace`;
      io.err.write(`No resources found${where}.\n`);
    } else io.out.write(kubeapi.formatTable(table, { wide: output === 'wide', headers, namespaces: allNamespaces }));
  }
}

/** Objects of one kind that were named one by one stand in one table. */
function tablesOf(
  answers: readonly Got[],
  render: (objects: readonly KubeObject[]) => Table,
): readonly { readonly type: Got['type']; readonly table: Table }[] {
  const tables = new Map<Got['type'], Table>();
  for (const { type, answer } of answers) {
    const table = isTable(answer) ? answer : render(itemsOf(answer));
    const before = tables.get(type);
    tables.set(type, before === undefined ? table : { ...before, rows: [...before.rows, ...table.rows] });
  }
  return [...tables].map(([type, table]) => ({ type, table }));
}

function isTable(answer: Answer): answer is Table {
  return 'columnDefinitions' in answer && Array.isArray(answer.rows);
}

function itemsOf(answer: Answer): readonly KubeObject[] {
  if ('items' in answer) return answer.items;
  return 'metadata' in answer && 'name' in answer.metadata ? [answer as KubeObject] : [];
}
