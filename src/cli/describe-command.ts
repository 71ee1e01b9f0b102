import { clientFlags } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { boolFlag, intFlag } from './flag.ts';
import type { Io } from './io.ts';
import { objectsNamedBy } from './object-kinds.ts';
import { selectionFlags } from './selection-flags.ts';
import { suggestObjects } from './suggestions.ts';
import type { ObjectChoice } from './targets.ts';
import { UsageError } from './usage-error.ts';

const own = {
  selector: selectionFlags.selector,
  'all-namespaces': selectionFlags['all-namespaces'],
  filename: selectionFlags.filename,
  recursive: selectionFlags.recursive,
  'show-events': boolFlag({ help: 'also what happened to each', initial: true }),
  'chunk-size': intFlag({
    value: 'N',
    initial: 500,
    min: 0,
    help: 'objects that are asked for at once; 0 is all of them',
  }),
} as const;

const flags = { ...own, ...clientFlags } as const;

/** What `podwire describe` was asked for. */
export interface DescribeOptions extends ObjectChoice {
  readonly showEvents: boolean;
  /** 0 is all at once. */
  readonly chunkSize: number;
}

export const describeCommand = defineCommand({
  name: 'describe',
  summary: 'Show all about objects of any type, and what happened to them',
  usage: '(TYPE [NAME-OR-BEGINNING…] | TYPE/NAME… | -f FILE) [flags]',
  description: `
Shows objects at length, with their events: the place to look why a pod does not start. Types are all that the server
has, named as for podwire get; pods, nodes, namespaces and accounts are told in words of their own, all others field by
field. A name that nothing has stands for all names that begin with it.`,
  examples: [
    { about: 'one pod', line: 'podwire describe pod web' },
    { about: 'all pods with a label', line: 'podwire describe pods -l app=web' },
    { about: 'a node, and the pods on it', line: 'podwire describe node n1' },
  ],
  groups: [
    { title: 'Options', flags: own },
    { title: 'Cluster', flags: clientFlags },
  ],
  flags,
  complete: ({ args, values }): DescribeOptions => {
    if (args.length > 0 && values.filename.length > 0) throw new UsageError('a manifest and names exclude each other');
    return {
      objects: values.filename.length > 0 ? [] : objectsNamedBy(args, 'describe'),
      files: values.filename,
      recursive: values.recursive,
      values,
      labelSelector: values.selector,
      allNamespaces: values['all-namespaces'],
      showEvents: values['show-events'],
      chunkSize: values['chunk-size'] ?? 500,
    };
  },
  validate: ({ objects, labelSelector, allNamespaces }) => {
    if (objects.every(({ name }) => name === undefined)) return;
    if (labelSelector !== undefined) throw new UsageError('name cannot be provided when a selector is specified');
    if (allNamespaces) throw new UsageError('a resource cannot be retrieved by name across all namespaces');
  },
  run: async (options, io: Io) => {
    const { describeObjects } = await import('./describe/describe-objects.ts');
    return describeObjects(options, io);
  },
  suggest: suggestObjects,
});
