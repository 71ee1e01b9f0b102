import { clientFlags } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { boolFlag, choiceFlag, durationFlag, stringFlag } from './flag.ts';
import type { Io } from './io.ts';
import { objectsNamedBy } from './object-kinds.ts';
import { selectionFlags } from './selection-flags.ts';
import { suggestObjects } from './suggestions.ts';
import { UsageError } from './usage-error.ts';
import { parseGoal } from './wait/goal.ts';
import type { WaitOptions } from './wait/wait-for-objects.ts';

const own = {
  for: stringFlag({ value: 'GOAL', help: 'create, delete, condition=NAME[=VALUE] or jsonpath=PATH[=VALUE]' }),
  timeout: durationFlag({
    signed: true,
    help: 'how long at most, for all together; 0 looks once, less than that is a week',
    shownDefault: '30s',
  }),
  all: boolFlag({ help: 'all of the kind in the namespace' }),
  ...selectionFlags,
  output: choiceFlag(['', 'name'], { short: 'o', help: 'name: only the names of what was waited for' }),
} as const;

const flags = { ...own, ...clientFlags } as const;

const DEFAULT_TIMEOUT_MS = 30_000;
const WEEK_MS = 7 * 24 * 3_600_000;

interface Options extends WaitOptions {
  readonly args: readonly string[];
  readonly all: boolean;
}

export const waitCommand = defineCommand({
  name: 'wait',
  summary: 'Wait until objects are there, are gone, or have a condition or a value',
  usage: '(TYPE NAME… | TYPE/NAME… | TYPE -l SELECTOR | TYPE --all | -f FILE) --for=GOAL [flags]',
  description: 'Returns when all of the objects are as --for says, or fails when the time is over.',
  examples: [
    { about: 'until a pod can be exec’d into', line: 'podwire wait --for=condition=Ready pod/web' },
    { about: 'until it is gone', line: 'podwire wait --for=delete pod/web --timeout=1m' },
    { about: 'until it has ended well', line: "podwire wait --for=jsonpath='{.status.phase}'=Succeeded pod/once" },
    { about: 'until all pods with a label are ready', line: 'podwire wait --for=condition=Ready pods -l app=web' },
  ],
  groups: [
    { title: 'Options', flags: own },
    { title: 'Cluster', flags: clientFlags },
  ],
  flags,
  complete: ({ args, values }): Options => ({
    args,
    objects: args.length === 0 && values.filename.length > 0 ? [] : objectsNamedBy(args, 'wait for'),
    files: values.filename,
    recursive: values.recursive,
    goal: parseGoal(values.for ?? ''),
    timeoutMs: timeoutOf(values.timeout),
    all: values.all,
    onlyNames: values.output === 'name',
    labelSelector: values.selector,
    fieldSelector: values['field-selector'],
    allNamespaces: values['all-namespaces'],
    values,
  }),
  validate: ({ args, all, files, objects, labelSelector, fieldSelector, allNamespaces }) => {
    if (files.length > 0) {
      if (args.length > 0) throw new UsageError('a manifest and names exclude each other');
      return;
    }
    const isBroad = all || labelSelector !== undefined || fieldSelector !== undefined;
    if (!objects.some(({ name }) => name !== undefined)) {
      if (!isBroad)
        throw new UsageError('names, -l SELECTOR, --field-selector, --all or -f FILE must say which objects');
      return;
    }
    if (isBroad) throw new UsageError('names exclude --all, -l and --field-selector');
    if (allNamespaces) throw new UsageError('a resource cannot be retrieved by name across all namespaces');
  },
  run: async (options, io: Io) => {
    const { waitForObjects } = await import('./wait/wait-for-objects.ts');
    return waitForObjects(options, io);
  },
  suggest: suggestObjects,
});

function timeoutOf(ms = DEFAULT_TIMEOUT_MS): number {
  return ms < 0 ? WEEK_MS : ms;
}
