import { clientFlags } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { boolFlag, intFlag, listFlag, stringFlag } from './flag.ts';
import type { GetOptions } from './get/get-options.ts';
import { formatWords, outputFormat } from './get/output-format.ts';
import type { Io } from './io.ts';
import { relaxedPath } from './jsonpath/relaxed-path.ts';
import { managedFieldsFlag } from './managed-fields.ts';
import { type NamedObjects, objectsNamedBy } from './object-kinds.ts';
import { selectionFlags } from './selection-flags.ts';
import { suggestObjects } from './suggestions.ts';
import { reworded, UsageError } from './usage-error.ts';

const own = {
  output: stringFlag({
    short: 'o',
    value: 'FORMAT',
    source: formatWords,
    help: `how to show them: ${formatWords.join(', ')}`,
  }),
  template: stringFlag({ value: 'TEXT', help: 'the template or file, in place of what follows = in -o' }),
  watch: boolFlag({ short: 'w', help: 'go on with what changes, until ctrl-C' }),
  'watch-only': boolFlag({ help: 'only what changes from now on' }),
  'output-watch-events': boolFlag({ help: 'with --watch: also say what happened to each object' }),
  ...selectionFlags,
  'sort-by': stringFlag({ value: 'PATH', help: 'in the order of this field, such as .metadata.creationTimestamp' }),
  'show-labels': boolFlag({ help: 'a last column with all labels' }),
  ...managedFieldsFlag,
  'label-columns': listFlag({ short: 'L', value: 'LABEL,…', split: true, help: 'a column for each of these labels' }),
  'show-kind': boolFlag({ help: 'the kind before each name' }),
  'no-headers': boolFlag({ help: 'no line of titles' }),
  'ignore-not-found': boolFlag({ help: 'what is not there is no failure' }),
  'allow-missing-template-keys': boolFlag({ help: 'a field that is not there shows as nothing', initial: true }),
  'chunk-size': intFlag({
    value: 'N',
    initial: 500,
    min: 0,
    help: 'objects that are asked for at once; 0 is all of them',
  }),
  raw: stringFlag({ value: 'PATH', help: "the server's answer for this path as it is, such as /version" }),
} as const;

const flags = { ...own, ...clientFlags } as const;

type Options = GetOptions & { readonly raw: string | undefined; readonly args: readonly string[] };

export const getCommand = defineCommand({
  name: 'get',
  summary: 'Show objects of any type, such as pods and nodes',
  usage: '(TYPE[,TYPE…] [NAME…] | TYPE/NAME… | -f FILE) [flags]',
  description: `
Shows objects of the cluster as tables, as they are with -o json and -o yaml, or parts of them with -o jsonpath and
-o custom-columns. Types are all that the server has, its own and custom ones: pods, nodes, namespaces and so on, also
by short names (po, no, ns), with their group (leases.coordination.k8s.io), or several by a word such as all.`,
  examples: [
    { about: 'the pods of a namespace', line: 'podwire get pods -n shop' },
    { about: 'where pods with a label run', line: 'podwire get pods -l app=web -o wide' },
    { about: 'what runs in a namespace, of all types', line: 'podwire get all -n shop' },
    { about: 'one pod as it is', line: 'podwire get pod web -o yaml' },
    { about: 'what becomes of pods, as it happens', line: 'podwire get pods -A -w' },
    {
      about: 'names and addresses, one in a line',
      line: `podwire get pods -o jsonpath='{range .items[*]}{.metadata.name}{"\\t"}{.status.podIP}{"\\n"}{end}'`,
    },
    {
      about: 'columns of your own, the newest last',
      line: 'podwire get pods -o custom-columns=NAME:.metadata.name,NODE:.spec.nodeName --sort-by=.metadata.creationTimestamp',
    },
  ],
  groups: [
    { title: 'Options', flags: own },
    { title: 'Cluster', flags: clientFlags },
  ],
  flags,
  complete: ({ args, values }): Options => {
    return {
      args,
      raw: values.raw,
      objects:
        args.length === 0 && (values.filename.length > 0 || values.raw !== undefined)
          ? []
          : objectsNamedBy(args, 'get'),
      files: values.filename,
      recursive: values.recursive,
      values,
      allNamespaces: values['all-namespaces'],
      format: outputFormat(values.output ?? '', values.template ?? ''),
      headers: !values['no-headers'],
      showKind: values['show-kind'],
      showLabels: values['show-labels'],
      managedFields: values['show-managed-fields'],
      labelColumns: values['label-columns'],
      labelSelector: values.selector,
      fieldSelector: values['field-selector'],
      sortBy: reworded(() => relaxedPath(values['sort-by'] ?? ''), ''),
      chunkSize: values['chunk-size'] ?? 500,
      ignoreNotFound: values['ignore-not-found'],
      allowMissingKeys: values['allow-missing-template-keys'],
      watch: values['watch-only'] ? 'only' : values.watch ? 'after' : 'no',
      watchEvents: values['output-watch-events'],
    };
  },
  validate: (options) => {
    checkRaw(options);
    if (options.showLabels && options.format.kind !== 'table') {
      throw new UsageError('--show-labels can only be used with tables');
    }
    if (options.watchEvents && options.watch === 'no') {
      throw new UsageError('--output-watch-events option can only be used with --watch or --watch-only');
    }
    if (options.files.length > 0 && options.args.length > 0) {
      throw new UsageError('a manifest and names exclude each other');
    }
    checkWatch(options);
    checkNames(options);
  },
  run: async (options, io: Io) => {
    const { getObjects, getRaw } = await import('./get/get-objects.ts');
    return options.raw === undefined ? getObjects(options, io) : getRaw(options.raw, options.values, io);
  },
  suggest: suggestObjects,
});

function checkRaw({ raw, args, watch, labelSelector, format }: Options): void {
  if (raw === undefined) return;
  if (args.length > 0) throw new UsageError('arguments may not be passed when --raw is specified');
  const isPlain = format.kind === 'table' && !format.wide;
  if (watch !== 'no' || labelSelector !== undefined || !isPlain) {
    throw new UsageError('--raw excludes --watch, --selector and --output');
  }
  if (!raw.startsWith('/')) throw new UsageError(`--raw ${JSON.stringify(raw)} must be a path such as /version`);
}

function checkWatch({ watch, objects, files }: Options): void {
  if (watch === 'no') return;
  if (files.length > 0) throw new UsageError('a watch is of a type or of one object, not of a manifest');
  if (new Set(objects.map(({ word }) => word)).size > 1) {
    throw new UsageError('you may only specify a single resource type');
  }
  if (objects.length > 1) {
    throw new UsageError(
      'watch is only supported on individual resources and resource collections - more than 1 resource was found',
    );
  }
}

function checkNames({ objects, labelSelector, fieldSelector, allNamespaces }: Options): void {
  const isNamed = ({ name }: NamedObjects): boolean => name !== undefined;
  if (!objects.some(isNamed)) return;
  if (labelSelector !== undefined) throw new UsageError('name cannot be provided when a selector is specified');
  if (fieldSelector !== undefined) throw new UsageError('name cannot be provided when a field selector is specified');
  if (allNamespaces) throw new UsageError('a resource cannot be retrieved by name across all namespaces');
}
