import type { KubeClient, KubeObject, ResourceType } from '../kubeapi/index.ts';
import { clientFlags } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { dryRunFlag, dryRunNote, warnOfDryRun } from './dry-run.ts';
import { eachObject, namingSource } from './each-object.ts';
import { tellFailures } from './failure-text.ts';
import { boolFlag, choiceFlag, durationFlag, type FlagValues, intFlag } from './flag.ts';
import type { Io } from './io.ts';
import { readManifests } from './manifest-files.ts';
import { objectsNamedBy, singularOf } from './object-kinds.ts';
import { readWord } from './read-word.ts';
import { selectionFlags } from './selection-flags.ts';
import { suggestObjects } from './suggestions.ts';
import { namedTargets } from './targets.ts';
import { timeoutSignal } from './timeout-signal.ts';
import type { TypeFinder } from './type-finder.ts';
import { UsageError } from './usage-error.ts';
import { type ClusterCall, withClient } from './with-client.ts';

const own = {
  filename: selectionFlags.filename,
  recursive: selectionFlags.recursive,
  selector: selectionFlags.selector,
  'field-selector': selectionFlags['field-selector'],
  'all-namespaces': selectionFlags['all-namespaces'],
  all: boolFlag({ help: 'all of the kind in the namespace' }),
  'grace-period': intFlag({
    value: 'SECONDS',
    help: 'what containers get to end by themselves',
    initial: -1,
    min: -1,
    shownDefault: "the pod's own",
  }),
  now: boolFlag({ help: 'one second of grace' }),
  force: boolFlag({ help: 'do not wait for the node: the object goes at once, its containers may run on' }),
  cascade: choiceFlag(['background', 'foreground', 'orphan'], {
    implied: 'background',
    help: 'what becomes of what the objects own: it goes after them, before them, or stays',
  }),
  interactive: boolFlag({ short: 'i', help: 'say what would be deleted, and ask first' }),
  wait: boolFlag({ help: 'wait until the objects are gone', initial: true }),
  timeout: durationFlag({ help: 'how long at most; 0 is for ever', shownDefault: 'for ever' }),
  'ignore-not-found': boolFlag({ help: 'what is not there is no failure' }),
  'dry-run': dryRunFlag('client: say what would be deleted; server: check it too; delete nothing'),
  output: choiceFlag(['', 'name'], { short: 'o', help: 'name: only the names of what was deleted' }),
} as const;

const flags = { ...own, ...clientFlags } as const;

const propagations = { background: 'Background', foreground: 'Foreground', orphan: 'Orphan' } as const;

interface DeleteOptions {
  readonly args: readonly string[];
  readonly values: FlagValues<typeof flags>;
}

interface Doomed {
  readonly type: ResourceType<KubeObject>;
  readonly name: string;
  readonly namespace: string | undefined;
  /** The manifest that names it. */
  readonly source?: string;
}

export const deleteCommand = defineCommand({
  name: 'delete',
  summary: 'Delete objects by name, by labels or as a manifest names them',
  usage: '(TYPE NAME… | TYPE/NAME… | TYPE -l SELECTOR | TYPE --all | -f FILE) [flags]',
  description: 'Deletes objects, and waits until they are gone: a pod when its containers have ended.',
  examples: [
    { about: 'a pod', line: 'podwire delete pod web' },
    { about: 'those with a label, at once', line: 'podwire delete pods -l app=web --now' },
    { about: 'what a manifest made', line: 'podwire delete -f web.yaml' },
  ],
  groups: [
    { title: 'Options', flags: own },
    { title: 'Cluster', flags: clientFlags },
  ],
  flags,
  complete: ({ args, values, given }): DeleteOptions => {
    // What a selector has found may be gone by itself before its turn.
    const isBroad = values.all || values.selector !== undefined || values['field-selector'] !== undefined;
    const ignores = given.has('ignore-not-found') ? values['ignore-not-found'] : isBroad;
    return { args, values: { ...values, 'ignore-not-found': ignores } };
  },
  validate: ({ args, values }) => {
    const grace = values['grace-period'] ?? -1;
    if (values.now && grace !== -1) throw new UsageError('--now and --grace-period cannot be specified together');
    if (values.force && grace > 0) {
      throw new UsageError('--force and --grace-period greater than 0 cannot be specified together');
    }
    if (values.filename.length > 0) {
      if (args.length > 0) throw new UsageError('a manifest and names exclude each other');
      return;
    }
    const named = objectsNamedBy(args, 'delete');
    const hasNames = named.some(({ name }) => name !== undefined);
    const isBroad = values.all || values.selector !== undefined || values['field-selector'] !== undefined;
    if (hasNames && isBroad) throw new UsageError('names exclude --all, -l and --field-selector');
    if (hasNames && values['all-namespaces']) {
      throw new UsageError('a resource cannot be retrieved by name across all namespaces');
    }
    if (!hasNames && !isBroad) {
      throw new UsageError('names, -l SELECTOR, --field-selector, --all or -f FILE must say which objects');
    }
  },
  run: runDelete,
  suggest: suggestObjects,
});

async function runDelete({ args, values }: DeleteOptions, io: Io): Promise<number> {
  warnOfDryRun(values['dry-run'], io);
  const manifestsFor = await readManifests(values.filename, io, {
    recursive: values.recursive,
    namespace: values['all-namespaces'] ? undefined : values.namespace,
  });
  return withClient(values, io, async (call) => {
    const { TypeFinder } = await import('./type-finder.ts');
    const types = new TypeFinder(call);
    const { objects, failures } = await manifestsFor(types);
    const doomed: Doomed[] = objects.map(({ type, object, source }) => ({
      type,
      name: object.metadata.name,
      namespace: type.namespaced ? (object.metadata.namespace ?? call.namespace) : undefined,
      source,
    }));
    if (values.filename.length === 0) doomed.push(...(await namedObjects(args, values, { ...call, types })));
    if (doomed.length === 0 && failures.length === 0) io.out.write('No resources found\n');
    // As kubectl: where not all can be named, nobody is asked and nothing is deleted.
    if (values.interactive && failures.length > 0) return tellFailures(failures, io);
    if (values.interactive && doomed.length > 0 && !(await isConfirmed(doomed, call.signal, io))) {
      io.out.write('deletion is cancelled\n');
      return 0;
    }
    if (values.force && doomed.length > 0) {
      io.err.write('Warning: nobody confirms that what is deleted has ended: its containers may run on\n');
    }
    const gone: (Doomed & { readonly uid: string })[] = [];
    const code = await eachObject(doomed, { io, failures }, async (one) => {
      const uid = await deleteOne(one, values, call);
      if (uid === undefined) return;
      io.out.write(`${told(one, values)}\n`);
      gone.push({ ...one, uid });
    });
    if (!values.wait || values.force || values['dry-run'].strategy !== 'none') return code;
    const limit = values.timeout === undefined || values.timeout === 0 ? [] : [timeoutSignal(values.timeout)];
    const signal = AbortSignal.any([call.signal, ...limit]);
    for (const one of gone) {
      if (await isGoneInTime(call.client, one, signal)) continue;
      call.signal.throwIfAborted();
      io.err.write(`error: timed out waiting for ${singularOf(one.type)}/${one.name} to be gone\n`);
      return 1;
    }
    return code;
  });
}

/** Asks in kubectl's words; only y is yes. */
async function isConfirmed(doomed: readonly Doomed[], signal: AbortSignal, io: Io): Promise<boolean> {
  const names = doomed.map(({ type, name }) => `${singularOf(type)}/${name}\n`);
  io.out.write(`You are about to delete the following ${doomed.length} resource(s):\n${names.join('')}`);
  io.out.write('Do you want to continue? (y/n): ');
  return (await readWord(io.input(), signal)).toLowerCase() === 'y';
}

function told({ type, name }: Doomed, values: DeleteOptions['values']): string {
  if (values.output === 'name') return `${singularOf(type)}/${name}`;
  const what = values.force ? 'force deleted' : 'deleted';
  return `${singularOf(type)} ${JSON.stringify(name)} ${what}${dryRunNote[values['dry-run'].strategy]}`;
}

async function namedObjects(
  args: readonly string[],
  values: DeleteOptions['values'],
  call: ClusterCall & { readonly types: TypeFinder },
): Promise<Doomed[]> {
  const found: Doomed[] = [];
  for (const { type, name, namespace } of await namedTargets(
    objectsNamedBy(args, 'delete'),
    call.types,
    call.namespace,
  )) {
    if (name !== undefined) {
      found.push({ type, name, namespace });
      continue;
    }
    const selection = { labelSelector: values.selector, fieldSelector: values['field-selector'] };
    const place = { namespace: values['all-namespaces'] ? undefined : namespace, signal: call.signal };
    const list = call.client.list(type, { ...place, ...selection });
    const { items } = await list.catch(async (thrown: unknown) => {
      const { listRefusal } = await import('./list-refusal.ts');
      throw listRefusal(thrown, type, selection);
    });
    found.push(...items.map(({ metadata }) => ({ type, name: metadata.name, namespace: metadata.namespace })));
  }
  return found;
}

/** @returns the object's uid, undefined when it is not there and need not be */
async function deleteOne(
  { type, name, namespace, source }: Doomed,
  values: DeleteOptions['values'],
  call: ClusterCall,
): Promise<string | undefined> {
  // As kubectl: nobody is asked, not even whether it is there.
  if (values['dry-run'].strategy === 'client') return '';
  const { isNotFound } = await import('../kubeapi/index.ts');
  const address = { ...(namespace === undefined ? {} : { namespace }), signal: call.signal };
  // As kubectl: none at all is only for those who say --force, for an object goes then before its containers have ended.
  const unforced = values.now || values['grace-period'] === 0 ? 1 : (values['grace-period'] ?? -1);
  const grace = values.force ? 0 : unforced;
  try {
    const { metadata } = await namingSource('deleting', source, call.client.get(type, name, address));
    const options = grace < 0 ? {} : { gracePeriodSeconds: grace };
    const dryRun = values['dry-run'].strategy === 'server';
    const how = { ...address, ...options, dryRun, propagationPolicy: propagations[values.cascade] } as const;
    await namingSource('deleting', source, call.client.delete(type, name, how));
    return metadata.uid ?? '';
  } catch (thrown) {
    if (isNotFound(thrown) && values['ignore-not-found']) return undefined;
    throw thrown;
  }
}

/** Another object of the name that somebody makes meanwhile is not waited for. */
async function isGoneInTime(
  client: KubeClient,
  { type, name, namespace, uid }: Doomed & { readonly uid: string },
  signal: AbortSignal,
): Promise<boolean> {
  const { followUntil } = await import('./follow-objects.ts');
  const followed = { type, namespace, fieldSelector: `metadata.name=${name}` };
  return followUntil(client, followed, (object) => object?.metadata.uid !== uid, signal);
}
