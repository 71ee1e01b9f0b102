import type { ServerOptions } from '../client/index.ts';
import type { KubeClient, KubeObject, List, ResourceType, Table } from '../kubeapi/index.ts';
import { clientFlags, requestTimeoutMs, serverOptions } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { boolFlag, choiceFlag, stringFlag } from './flag.ts';
import { Interruption } from './interruption.ts';
import type { Io } from './io.ts';
import { nearest } from './nearest.ts';
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

/** What kubectl calls them, short forms too. */
const kinds: Readonly<Record<string, 'pods' | 'nodes' | 'namespaces'>> = {
  ...Object.fromEntries(['pods', 'pod', 'po'].map((word) => [word, 'pods'] as const)),
  ...Object.fromEntries(['nodes', 'node', 'no'].map((word) => [word, 'nodes'] as const)),
  ...Object.fromEntries(['namespaces', 'namespace', 'ns'].map((word) => [word, 'namespaces'] as const)),
};

/** As kubectl asks: a Table, or the plain objects of a server that knows none. */
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

interface GetOptions {
  readonly kind: string;
  readonly name: string | undefined;
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
  summary: 'Show pods, nodes or namespaces',
  usage: '(pods | nodes | namespaces) [NAME] [flags]',
  description: 'Shows objects of the cluster as tables, or as they are with -o json and -o yaml.',
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
    const [word = '', ...names] = args.length === 1 ? (args[0] ?? '').split('/') : args;
    if (names.length > 1) throw new UsageError(`get shows one object or all, got ${names.length} names`);
    return {
      kind: word,
      name: names[0],
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
  validate: ({ kind, name, labelSelector, fieldSelector, allNamespaces }) => {
    if (kind === '') throw new UsageError('you must specify the type of object to get: pods, nodes or namespaces');
    if (!Object.hasOwn(kinds, kind)) {
      const [meant] = nearest(kind, Object.keys(kinds));
      const hint = meant === undefined ? 'there are pods, nodes and namespaces' : `did you mean ${meant}?`;
      throw new UsageError(`podwire does not get ${JSON.stringify(kind)}: ${hint}`);
    }
    if (name !== undefined && (labelSelector ?? fieldSelector) !== undefined) {
      throw new UsageError('a name and a selector exclude each other');
    }
    if (name !== undefined && allNamespaces) throw new UsageError('a name cannot be got across all namespaces');
  },
  run: runGet,
  suggest: async (request) => {
    const { args } = request.line;
    if (args.length === 0) return ['pods', 'nodes', 'namespaces'];
    const { suggestPods, suggestNamespaces } = await import('./suggest-objects.ts');
    const kind = args.length === 1 ? kinds[args[0] ?? ''] : undefined;
    if (kind === 'pods') return suggestPods(request);
    return kind === 'namespaces' ? suggestNamespaces(request) : [];
  },
});

async function runGet(options: GetOptions, io: Io): Promise<number> {
  using interruption = new Interruption(io);
  const { openServer } = await import('../client/index.ts');
  const { KubeClient, resourcePath, nodes, namespaces, pods } = await import('../kubeapi/index.ts');
  const api = await openServer(options.server);
  const { timeoutMs, name, output, labelSelector, fieldSelector } = options;
  const client: KubeClient = new KubeClient(api, {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    onWarning: (text) => io.err.write(`Warning: ${text}\n`),
  });
  try {
    const type = { pods, nodes, namespaces }[kinds[options.kind] ?? 'pods'] as ResourceType<KubeObject>;
    const namespace = options.allNamespaces || !type.namespaced ? undefined : (options.namespace ?? api.namespace);
    const asTable = output === '' || output === 'wide';
    const answer = await client.call<Answer>('GET', resourcePath(type, { namespace, name }), {
      signal: interruption.signal,
      query: { labelSelector, fieldSelector },
      ...(asTable ? { accept: TABLE } : {}),
    });
    await show(answer, type, options, io);
    return 0;
  } catch (thrown) {
    if (interruption.exitCode !== undefined) return interruption.exitCode;
    throw thrown;
  } finally {
    client.close();
  }
}

type Answer = Table | List<KubeObject> | KubeObject;

async function show(answer: Answer, type: ResourceType<KubeObject>, options: GetOptions, io: Io): Promise<void> {
  const { output, allNamespaces, headers } = options;
  if (output === 'json') {
    io.out.write(`${JSON.stringify(answer, null, 4)}\n`);
    return;
  }
  const kubeapi = await import('../kubeapi/index.ts');
  if (output === 'yaml') {
    io.out.write(await kubeapi.formatYaml(answer));
    return;
  }
  if (output === 'name') {
    const singular = type.plural.replace(/s$/, '');
    for (const { metadata } of itemsOf(answer)) io.out.write(`${singular}/${metadata.name}\n`);
    return;
  }
  const table = isTable(answer) ? answer : kubeapi.renderTable(kubeapi.plainLayout, itemsOf(answer));
  if (table.rows.length === 0) {
    const where = allNamespaces || !type.namespaced ? '' : ` in ${options.namespace ?? 'this'} namespace`;
    io.err.write(`No resources found${where}.\n`);
    return;
  }
  io.out.write(kubeapi.formatTable(table, { wide: output === 'wide', headers, namespaces: allNamespaces }));
}

function isTable(answer: Answer): answer is Table {
  return 'columnDefinitions' in answer && Array.isArray(answer.rows);
}

function itemsOf(answer: Answer): readonly KubeObject[] {
  if ('items' in answer) return answer.items;
  return 'metadata' in answer && 'name' in answer.metadata ? [answer as KubeObject] : [];
}
