import type { KubeObject } from '../kubeapi/index.ts';
import { clientFlags } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { dryRunFlag, dryRunNote, warnOfDryRun } from './dry-run.ts';
import { eachObject } from './each-object.ts';
import { boolFlag, choiceFlag, type FlagValues, stringFlag } from './flag.ts';
import type { Io } from './io.ts';
import { managedFieldsFlag, withoutManagedFields } from './managed-fields.ts';
import { type ManifestObject, readManifests } from './manifest-files.ts';
import type { ObjectApplier } from './object-applier.ts';
import { singularOf } from './object-kinds.ts';
import { selectionFlags } from './selection-flags.ts';
import { reworded, UsageError } from './usage-error.ts';
import { type ClusterCall, withClient } from './with-client.ts';

const own = {
  filename: selectionFlags.filename,
  recursive: selectionFlags.recursive,
  'dry-run': dryRunFlag('client: say what would be done; server: check it too; write nothing'),
  validate: choiceFlag(['strict', 'warn', 'ignore', 'true', 'false'], {
    help: 'what becomes of fields that a kind does not have; true is strict, false is ignore',
    implied: 'strict',
  }),
  selector: stringFlag({ short: 'l', value: 'SELECTOR', help: 'only those with these labels, such as app=web' }),
  output: choiceFlag(['', 'json', 'yaml', 'name'], { short: 'o', help: 'show the objects, or only their names' }),
  ...managedFieldsFlag,
  'server-side': boolFlag({ help: 'refused: what changes is computed here, not by the server' }),
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
    {
      about: 'one part of it, and what the server made of that',
      line: 'podwire apply -f web.yaml -l tier=front -o yaml',
    },
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
    if (values['server-side']) {
      throw new UsageError(
        '--server-side is not supported: podwire computes what changes by itself, as kubectl without this flag; ' +
          'a server that has it takes kubectl apply --server-side',
      );
    }
    if (values.filename.length === 0) throw new UsageError('must specify -f: the manifest to apply');
  },
  run: async ({ values }, io: Io) => {
    warnOfDryRun(values['dry-run'], io);
    const isSelected = await selectorOf(values.selector ?? '');
    const manifestsFor = await readManifests(values.filename, io, { ...values, command: 'apply' });
    return withClient(values, io, async (call) => {
      const { TypeFinder } = await import('./type-finder.ts');
      const { objects: all, failures } = await manifestsFor(new TypeFinder(call));
      const objects = all.filter(isSelected);
      if (objects.length === 0 && failures.length === 0) {
        io.err.write('error: no objects passed to apply\n');
        return 1;
      }
      const applier = await applierFor(values, call, io);
      const applied: KubeObject[] = [];
      const code = await eachObject(objects, { io, failures }, async (one) => {
        const { outcome, object } = await applier.apply(one);
        const name = `${singularOf(one.type)}/${one.object.metadata.name}`;
        const { apiVersion, kind } = one.object;
        applied.push({ apiVersion, kind, ...object });
        if (values.output === 'name') io.out.write(`${name}\n`);
        else if (values.output === '') io.out.write(`${name} ${outcome}${dryRunNote[values['dry-run'].strategy]}\n`);
      });
      // As kubectl: objects are shown when all of them could be applied.
      if (code === 0 && (values.output === 'json' || values.output === 'yaml')) {
        io.out.write(await shown(applied, values.output, values['show-managed-fields']));
      }
      return code;
    });
  },
});

/** @throws UsageError in kubectl's words */
async function selectorOf(text: string): Promise<(one: ManifestObject) => boolean> {
  if (text === '') return () => true;
  const { parseLabelSelector } = await import('../apiserver/index.ts');
  const selects = reworded(
    () => parseLabelSelector(text),
    `the provided selector ${JSON.stringify(text)} is not valid: `,
  );
  return ({ object }) => selects(object.metadata.labels);
}

/** One object by itself, several as a List: in JSON with its fields in an order that kubectl has nowhere else. */
async function shown(objects: readonly KubeObject[], form: 'json' | 'yaml', managedFields: boolean): Promise<string> {
  const { formatJson, formatYaml, withSortedKeys } = await import('../kubeapi/index.ts');
  const items = managedFields ? objects : objects.map(withoutManagedFields);
  const list = { kind: 'List', apiVersion: 'v1', metadata: {}, items };
  const whole = items.length === 1 ? items[0] : list;
  if (form === 'yaml') return formatYaml(withSortedKeys(whole));
  if (whole !== list) return `${formatJson(whole, 4)}\n`;
  const pieces = items.map((item) => formatJson(item, 4).replace(/^/gm, ' '.repeat(8)));
  const head = '{\n    "kind": "List",\n    "apiVersion": "v1",\n    "metadata": {},\n    "items": [\n';
  return `${head}${pieces.join(',\n')}\n    ]\n}\n`;
}

async function applierFor(values: Values, call: ClusterCall, io: Io): Promise<ObjectApplier> {
  const { ObjectApplier: Applier } = await import('./object-applier.ts');
  return new Applier(call, {
    dryRun: values['dry-run'].strategy,
    fieldValidation: validations[values.validate],
    onWarning: (text) => io.err.write(`Warning: ${text}\n`),
  });
}
