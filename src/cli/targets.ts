import type { KubeObject, ResourceType } from '../kubeapi/index.ts';
import type { ClientFlagValues } from './client-flags.ts';
import type { Io } from './io.ts';
import { readManifests } from './manifest-files.ts';
import { type NamedObjects, resourceTypeOf } from './object-kinds.ts';
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

/** Reads the manifests, and gives what is chosen and where once it is known which cluster is called. */
export async function readTargets(
  { objects, files, recursive, allNamespaces, values }: ObjectChoice,
  io: Io,
): Promise<(call: ClusterCall) => Promise<Target[]>> {
  const manifests = await readManifests(files, io, {
    recursive,
    namespace: allNamespaces ? undefined : values.namespace,
  });
  return async ({ namespace }) => [
    ...(await Promise.all(
      objects.map(async ({ kind, name }) => {
        const type = await resourceTypeOf(kind);
        return { type, name, namespace: allNamespaces || !type.namespaced ? undefined : namespace };
      }),
    )),
    ...manifests.map(({ type, object: { metadata } }) => ({
      type,
      name: metadata.name,
      namespace: type.namespaced ? (metadata.namespace ?? namespace) : undefined,
    })),
  ];
}
