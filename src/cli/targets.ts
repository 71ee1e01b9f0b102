import type { KubeObject, ResourceType } from '../kubeapi/index.ts';
import type { ClientFlagValues } from './client-flags.ts';
import type { Io } from './io.ts';
import { readManifests } from './manifest-files.ts';
import type { NamedObjects } from './object-kinds.ts';
import type { TypeFinder } from './type-finder.ts';
import { UsageError } from './usage-error.ts';
import type { ClusterCall } from './with-client.ts';

/** Which objects a command is about, as its line says it. */
export interface ObjectChoice {
  readonly objects: readonly NamedObjects[];
  /** Manifests that name more of them. */
  readonly files: readonly string[];
  /** Of folders among `files`, also what is in the folders below. */
  readonly recursive: boolean;
  readonly labelSelector: string | undefined;
  readonly allNamespaces: boolean;
  readonly values: ClientFlagValues;
}

/** An object, or a whole list: each is asked for, and can fail, by itself. */
export interface Target {
  readonly type: ResourceType<KubeObject>;
  /** Absent: all of the type. */
  readonly name?: string | undefined;
  /** Absent: every namespace, or none. */
  readonly namespace?: string | undefined;
}

/** What a line is about at one server. */
export interface Targets {
  readonly targets: readonly Target[];
  /** Of manifests that do not say what they are about. */
  readonly failures: readonly unknown[];
}

/** Reads the manifests, and gives what is chosen and where once it is known which cluster is called. */
export async function readTargets(
  { objects, files, recursive, allNamespaces, values }: ObjectChoice,
  io: Io,
): Promise<(call: ClusterCall) => Promise<Targets>> {
  const manifestsFor = await readManifests(files, io, {
    recursive,
    namespace: allNamespaces ? undefined : values.namespace,
  });
  return async (call) => {
    const { TypeFinder } = await import('./type-finder.ts');
    const types = new TypeFinder(call);
    const manifests = await manifestsFor(types);
    const named = await namedTargets(objects, types, allNamespaces ? undefined : call.namespace);
    const ofFiles = manifests.objects.map(({ type, object: { metadata } }) => ({
      type,
      name: metadata.name,
      namespace: type.namespaced ? (metadata.namespace ?? call.namespace) : undefined,
    }));
    return { targets: [...named, ...ofFiles], failures: manifests.failures };
  };
}

/**
 * @param namespace absent: every namespace
 * @throws UsageError for a word that stands for no type, and for a name behind one that stands for several
 */
export async function namedTargets(
  objects: readonly NamedObjects[],
  types: Pick<TypeFinder, 'typesOf'>,
  namespace: string | undefined,
): Promise<Target[]> {
  const targets: Target[] = [];
  for (const { word, name } of objects) {
    const found = await types.typesOf(word);
    if (name !== undefined && found.length > 1) throw new UsageError('you must specify only one resource');
    // A list that was named twice, as itself and by a category, is shown once.
    const isNew = (type: Target['type']): boolean =>
      !targets.some((one) => one.type === type && one.name === undefined);
    for (const type of found.filter((one) => name !== undefined || isNew(one))) {
      targets.push({ type, name, namespace: type.namespaced ? namespace : undefined });
    }
  }
  return targets;
}
