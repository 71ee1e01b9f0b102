import type { KubeObject, ResourceType } from '../kubeapi/index.ts';
import { UsageError } from './usage-error.ts';

/** The kinds of objects that are known without asking a server, by kubectl's words for them. */
export type ObjectKind = 'pods' | 'nodes' | 'namespaces' | 'events' | 'leases' | 'serviceAccounts';

const words: Readonly<Record<ObjectKind, readonly string[]>> = {
  pods: ['pods', 'pod', 'po'],
  nodes: ['nodes', 'node', 'no'],
  namespaces: ['namespaces', 'namespace', 'ns'],
  events: ['events', 'event', 'ev'],
  leases: ['leases', 'lease'],
  serviceAccounts: ['serviceaccounts', 'serviceaccount', 'sa'],
};

const kinds: ReadonlyMap<string, ObjectKind> = new Map(
  Object.entries(words).flatMap(([kind, names]) => names.map((name) => [name, kind as ObjectKind] as const)),
);

/** A word for each of them. */
export const kindWords: readonly string[] = Object.values(words).map(([plural = '']) => plural);

/** The kind that a word names, also with its version and group behind it (`leases.v1.coordination.k8s.io`). */
export function kindOf(word: string): ObjectKind | undefined {
  return kinds.get(word.toLowerCase().replace(/^(leases?)(?:\.v1)?\.coordination\.k8s\.io$|\.(?:v1\.)?$|\.v1$/, '$1'));
}

/** Objects as a command line names them: `pods`, `pod web api`, `pod/web node/n1`. */
export interface NamedObjects {
  /** What stands for the type, or for several (`all`): the server knows which there are. */
  readonly word: string;
  /** Absent: all of the kind, or those that a selector finds. */
  readonly name?: string;
}

/**
 * Reads `TYPE`, `TYPE,TYPE`, `TYPE NAME…` or `TYPE/NAME…`.
 *
 * @param command what is done to objects, for errors: `get`, `wait for`
 * @throws UsageError
 */
export function objectsNamedBy(args: readonly string[], command: string): readonly NamedObjects[] {
  const [first = '', ...names] = args;
  if (first === '')
    throw new UsageError(`you must specify the type of object to ${command}: ${kindWords.join(', ')} …`);
  if (!args.some((word) => word.includes('/'))) {
    const words = first.split(',');
    return words.flatMap((word) => (names.length === 0 ? [{ word }] : names.map((name) => ({ word, name }))));
  }
  return args.map((text) => {
    const [word = '', name = '', ...more] = text.split('/');
    if (more.length > 0) throw new UsageError('arguments in resource/name form may not have more than one slash');
    if (word === '' || (name === '' && text.includes('/'))) {
      throw new UsageError('arguments in resource/name form must have a single resource and name');
    }
    if (name === '') throw new UsageError(`${JSON.stringify(text)} must be TYPE/NAME when another argument is`);
    return { word, name };
  });
}

/** `pod`, or `lease.coordination.k8s.io`: a kind as kubectl's messages name it. */
export function singularOf({ kind, group }: ResourceType<unknown>): string {
  return `${kind.toLowerCase()}${group === '' ? '' : `.${group}`}`;
}

/** The library's type of a kind. */
export async function resourceTypeOf(kind: ObjectKind): Promise<ResourceType<KubeObject>> {
  const kubeapi = await import('../kubeapi/index.ts');
  return kubeapi[kind];
}
