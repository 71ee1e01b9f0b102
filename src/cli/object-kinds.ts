import type { KubeObject, ResourceType } from '../kubeapi/index.ts';
import { nearest } from './nearest.ts';
import { UsageError } from './usage-error.ts';

/** The kinds of objects that commands name, by kubectl's words for them. */
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

/** The words that completion offers. */
export const kindWords: readonly string[] = Object.values(words).map(([plural = '']) => plural);

/** The kind that a word names, also with its version and group behind it (`leases.v1.coordination.k8s.io`). */
export function kindOf(word: string): ObjectKind | undefined {
  return kinds.get(word.toLowerCase().replace(/^(leases?)(?:\.v1)?\.coordination\.k8s\.io$|\.(?:v1\.)?$|\.v1$/, '$1'));
}

/** Objects as a command line names them: `pods`, `pod web api`, `pod/web node/n1`. */
export interface NamedObjects {
  readonly kind: ObjectKind;
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
  if (first === '') throw new UsageError(`you must specify the type of object to ${command}: ${kindWords.join(', ')}`);
  if (!args.some((word) => word.includes('/'))) {
    const named = first.split(',').map((word) => knownKind(word, command));
    return named.flatMap((kind) => (names.length === 0 ? [{ kind }] : names.map((name) => ({ kind, name }))));
  }
  return args.map((word) => {
    const [type = '', name = '', ...more] = word.split('/');
    if (name === '' || more.length > 0) {
      throw new UsageError(`${JSON.stringify(word)} must be TYPE/NAME when another argument is`);
    }
    return { kind: knownKind(type, command), name };
  });
}

function knownKind(word: string, command: string): ObjectKind {
  const kind = kindOf(word);
  if (kind !== undefined) return kind;
  const [meant] = nearest(word, [...kinds.keys()]);
  const hint = meant === undefined ? `there are ${kindWords.join(', ')}` : `did you mean ${meant}?`;
  throw new UsageError(`podwire does not ${command} ${JSON.stringify(word)}: ${hint}`);
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
