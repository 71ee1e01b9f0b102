import { clientFlags } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { dryRunFlag, dryRunNote, warnOfDryRun } from './dry-run.ts';
import { eachObject } from './each-object.ts';
import { choiceFlag, type FlagValues } from './flag.ts';
import type { Io } from './io.ts';
import { readManifests } from './manifest-files.ts';
import type { ObjectApplier } from './object-applier.ts';
import { singularOf } from './object-kinds.ts';
import { selectionFlags } from './selection-flags.ts';
import { UsageError } from './usage-error.ts';
import { type ClusterCall, withClient } from './with-client.ts';

const own = {
  filename: selectionFlags.filename,
  recursive: selectionFlags.recursive,
  'dry-run': dryRunFlag('client: say what would be done; server: check it too; write nothing'),
  validate: choiceFlag(['strict', 'warn', 'ignore', 'true', 'false'], {
    help: 'what becomes of fields that a kind does not have; true is strict, false is ignore',
    implied: 'strict',
  }),
} as const;

const flags = { ...own, ...clientFlags } as const;

type Values = FlagValues<typeof flags>;

const validations = { strict: 'Strict', warn: 'Warn', ignore: 'Ignore', true: 'Strict', false: 'Ignore' } as const;

export const applyCommand = defineCommand({
  name: 'apply',
  summary: 'Make objects be as manifests say',
  usage: '-f FILE [flags]',
  description: `
Creates the objects of a manifest, or changes those that are there. Fields that stood in the manifest that was
applied last and stand in this one no more are removed, and so are items of lists such as containers, env and ports;
what others wrote stays. Both podwire and kubectl keep the last manifest in the same annotation, so either can go on
with the other's objects.`,
  examples: [
    { about: 'a file', line: 'podwire apply -f web.yaml' },
    { about: 'what another program writes', line: 'generate | podwire apply -f -' },
  ],
  groups: [
    { title: 'Options', flags: own },
    { title: 'Cluster', flags: clientFlags },
  ],
  flags,
  complete: ({ args, values }) => ({ args, values }),
  validate: ({ args, values }) => {
    if (args.length > 0) throw new UsageError(`apply takes no argument, got ${JSON.stringify(args[0])}`);
    if (values.filename.length === 0) throw new UsageError('must specify -f: the manifest to apply');
  },
  run: async ({ values }, io: Io) => {
    warnOfDryRun(values['dry-run'], io);
    const manifestsFor = await readManifests(values.filename, io, { ...values, command: 'apply' });
    return withClient(values, io, async (call) => {
      const { TypeFinder } = await import('./type-finder.ts');
      const { objects, failures } = await manifestsFor(new TypeFinder(call));
      if (objects.length === 0 && failures.length === 0) {
        io.err.write('error: no objects passed to apply\n');
        return 1;
      }
      const applier = await applierFor(values, call, io);
      return eachObject(objects, { io, failures }, async (one) => {
        const { type, object } = one;
        const outcome = await applier.apply(one);
        io.out.write(
          `${singularOf(type)}/${object.metadata.name} ${outcome}${dryRunNote[values['dry-run'].strategy]}\n`,
        );
      });
    });
  },
});

async function applierFor(values: Values, call: ClusterCall, io: Io): Promise<ObjectApplier> {
  const { ObjectApplier: Applier } = await import('./object-applier.ts');
  return new Applier(call, {
    dryRun: values['dry-run'].strategy,
    fieldValidation: validations[values.validate],
    onWarning: (text) => io.err.write(`Warning: ${text}\n`),
  });
}
