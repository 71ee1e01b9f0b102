import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../kubeapi/index.ts';
import { clientFlags } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { dryRunNote } from './dry-run.ts';
import { eachObject, namingSource } from './each-object.ts';
import { tellFailures } from './failure-text.ts';
import { choiceFlag, type FlagValues } from './flag.ts';
import type { Io } from './io.ts';
import { type ManifestObject, readManifests } from './manifest-files.ts';
import { singularOf } from './object-kinds.ts';
import { selectionFlags } from './selection-flags.ts';
import { UsageError } from './usage-error.ts';
import { type ClusterCall, withClient } from './with-client.ts';

const own = {
  filename: selectionFlags.filename,
  recursive: selectionFlags.recursive,
  'dry-run': choiceFlag(['none', 'client', 'server'], {
    help: 'client: say what would be done; server: check it too; write nothing',
  }),
  validate: choiceFlag(['strict', 'warn', 'ignore', 'true', 'false'], {
    help: 'what becomes of fields that a kind does not have; true is strict, false is ignore',
    implied: 'strict',
  }),
} as const;

const flags = { ...own, ...clientFlags } as const;

type Values = FlagValues<typeof flags>;

/** Where the last manifest is kept, so that a field that left it can be removed: kubectl's own. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

const validations = { strict: 'Strict', warn: 'Warn', ignore: 'Ignore', true: 'Strict', false: 'Ignore' } as const;

export const applyCommand = defineCommand({
  name: 'apply',
  summary: 'Make objects be as manifests say',
  usage: '-f FILE [flags]',
  description: `
Creates the objects of a manifest, or changes those that are there. Fields that stood in the manifest that was
applied last and stand in this one no more are removed; what others wrote stays. Both podwire and kubectl keep
the last manifest in the same annotation, so either can go on with the other's objects.`,
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
    const manifestsFor = await readManifests(values.filename, io, { ...values, command: 'apply' });
    return withClient(values, io, async (call) => {
      const { TypeFinder } = await import('./type-finder.ts');
      const { objects, failures } = await manifestsFor(new TypeFinder(call));
      if (objects.length === 0 && failures.length === 0) {
        io.err.write('error: no objects passed to apply\n');
        return 1;
      }
      const refusals = await eachObject(objects, async (one) => {
        io.out.write(`${await apply(one, values, call)}\n`);
      });
      return tellFailures([...failures, ...refusals], io);
    });
  },
});

async function apply({ type, object, source }: ManifestObject, values: Values, call: ClusterCall): Promise<string> {
  const { client, signal } = call;
  const { ApiStatusError } = await import('../kubeapi/index.ts');
  const { name } = object.metadata;
  const namespace = type.namespaced ? (object.metadata.namespace ?? call.namespace) : undefined;
  const address = namespace === undefined ? { signal } : { namespace, signal };
  const query = {
    fieldManager: 'podwire-client-side-apply',
    fieldValidation: validations[values.validate],
    dryRun: values['dry-run'] === 'server' ? 'All' : undefined,
  };
  const told = (what: string): string => `${singularOf(type)}/${name} ${what}${dryRunNote[values['dry-run']]}`;
  const wanted = annotated(object);
  const before = await client.get(type, name, address).catch((thrown: unknown) => {
    if (thrown instanceof ApiStatusError && thrown.httpStatus === 404) return undefined;
    throw thrown;
  });
  if (values['dry-run'] === 'client') return told(before === undefined ? 'created' : 'configured');
  if (before === undefined) {
    await namingSource('creating', source, client.create(type, wanted, { ...address, query }));
    return told('created');
  }
  const last = before.metadata.annotations?.[LAST_APPLIED];
  const patch = merged(wanted, removals(parsed(last), wanted));
  const after = await namingSource('patching', source, client.patch(type, name, patch, { ...address, query }));
  return told(isDeepStrictEqual(written(after), written(before)) ? 'unchanged' : 'configured');
}

/** An object without what the server notes of its writes: a dry run notes none, or one that never was. */
function written({ metadata, ...rest }: KubeObject): object {
  const { resourceVersion: _version, managedFields: _fields, ...kept } = metadata;
  return { ...rest, metadata: kept };
}

/** The object with itself in the annotation, written as kubectl writes it. */
function annotated(object: ManifestObject['object']): KubeObject {
  const { [LAST_APPLIED]: _, ...annotations } = object.metadata.annotations ?? {};
  const plain = { ...object, metadata: { ...object.metadata, annotations } };
  const kept = { ...annotations, [LAST_APPLIED]: `${JSON.stringify(sorted(plain))}\n` };
  return { ...object, metadata: { ...object.metadata, annotations: kept } };
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A null for each field that was in the last manifest and is not in this one. Lists are merged by the server. */
function removals(last: unknown, wanted: unknown): Record<string, unknown> {
  if (!isMap(last) || !isMap(wanted)) return {};
  return Object.fromEntries(
    Object.entries(last).flatMap(([key, value]): [string, unknown][] => {
      if (!Object.hasOwn(wanted, key)) return [[key, null]];
      const inner = removals(value, wanted[key]);
      return Object.keys(inner).length === 0 ? [] : [[key, inner]];
    }),
  );
}

function merged(base: unknown, over: Record<string, unknown>): unknown {
  if (!isMap(base)) return over;
  const result = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(over)) result.set(key, isMap(value) ? merged(base[key], value) : value);
  return Object.fromEntries(result);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isMap(value)) return value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key])]));
}
