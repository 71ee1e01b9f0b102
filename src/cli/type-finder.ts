import { ExecPathError } from '../common/errors.ts';
import {
  apiVersionOf,
  type KubeClient,
  type KubeObject,
  type ListedType,
  listTypes,
  type ResourceType,
} from '../kubeapi/index.ts';
import { nearest } from './nearest.ts';
import { kindOf, kindWords, resourceTypeOf } from './object-kinds.ts';
import { UsageError } from './usage-error.ts';

/** By whom the server is asked. */
interface TypeCall {
  readonly client: KubeClient;
  readonly signal?: AbortSignal;
}

/**
 * Finds the types that words of a command line and manifests name: those that podwire knows without asking, the others by
 * the server's discovery, which is asked at most once. A type is always the same object.
 */
export class TypeFinder {
  readonly #call: TypeCall;
  #listed: Promise<readonly ListedType[]> | undefined;

  constructor(call: TypeCall) {
    this.#call = call;
  }

  /**
   * The types of `pods`, `deploy`, `leases.coordination.k8s.io`, `jobs.v1.batch`, or of a category such as `all`.
   *
   * @throws UsageError in kubectl's words when the server has none
   */
  async typesOf(word: string): Promise<readonly ResourceType<KubeObject>[]> {
    const kind = kindOf(word);
    if (kind !== undefined) return [await resourceTypeOf(kind)];
    const listed = await this.#all();
    const members = listed.filter(({ categories }) => categories.includes(word));
    if (members.length > 0) return Promise.all(preferred(members).map(knownOr));
    const named = listedAs(word.toLowerCase(), listed);
    if (named === undefined) throw noSuchType(word, listed);
    return [await knownOr(named)];
  }

  /** The type of an object of a manifest. @throws ExecPathError ERR_MANIFEST in kubectl's words when the server has none */
  async typeOfObject(
    object: KubeObject & { readonly kind: string; readonly apiVersion: string },
    source: string,
  ): Promise<ResourceType<KubeObject>> {
    const { apiVersion, kind, metadata } = object;
    const isOf = (type: ResourceType<KubeObject>): boolean => type.kind === kind && apiVersionOf(type) === apiVersion;
    const kindWord = kindOf(kind);
    const known = kindWord === undefined ? undefined : await resourceTypeOf(kindWord);
    if (known !== undefined && isOf(known)) return known;
    const found = (await this.#all()).find(isOf);
    if (found !== undefined) return found;
    throw new ExecPathError(
      'ERR_MANIFEST',
      `resource mapping not found for name: ${JSON.stringify(metadata.name)} namespace: ` +
        `${JSON.stringify(metadata.namespace ?? '')} from ${JSON.stringify(source)}: ` +
        `no matches for kind ${JSON.stringify(kind)} in version ${JSON.stringify(apiVersion)}\n` +
        'ensure CRDs are installed first',
    );
  }

  /** For completion: every word that can stand for one type whose objects can be listed. */
  async words(): Promise<readonly string[]> {
    const listable = preferred((await this.#all()).filter(({ verbs }) => verbs.includes('list')));
    return listable.map(({ plural, group }) => (group === '' ? plural : `${plural}.${group}`));
  }

  #all(): Promise<readonly ListedType[]> {
    const { client, signal } = this.#call;
    this.#listed ??= listTypes(client, { signal });
    return this.#listed;
  }
}

/** Of the versions of a type the first, which is the server's choice. */
function preferred(types: readonly ListedType[]): readonly ListedType[] {
  const byName = new Map<string, ListedType>();
  for (const type of types) {
    const name = `${type.plural}.${type.group}`;
    if (!byName.has(name)) byName.set(name, type);
  }
  return [...byName.values()];
}

/** `deployments`, `deployments.apps` or `deployments.v1.apps`; the beginning of a group will do. */
function listedAs(word: string, listed: readonly ListedType[]): ListedType | undefined {
  const [name = '', ...place] = word.split('.');
  const [version, ...group] = place;
  const isExact = (type: ListedType): boolean => type.version === version && type.group.startsWith(group.join('.'));
  const isInGroup = ({ group: of }: ListedType): boolean => of.startsWith(place.join('.'));
  const isNamed = ({ plural, singular, kind }: ListedType): boolean =>
    [plural, singular, kind.toLowerCase()].includes(name);
  const isShort = ({ shortNames }: ListedType): boolean => shortNames.includes(name);
  for (const isCalled of [isNamed, isShort]) {
    const called = listed.filter(isCalled);
    const found = (place.length > 1 ? called.find(isExact) : undefined) ?? called.find(isInGroup);
    if (found !== undefined) return found;
  }
  return undefined;
}

function noSuchType(text: string, listed: readonly ListedType[]): UsageError {
  const [word = ''] = text.split('.');
  const known = [...kindWords, ...listed.flatMap(({ plural, singular }) => [plural, singular])];
  const [meant] = word === '' ? [] : nearest(word, [...new Set(known)]);
  const hint = meant === undefined || meant === word ? '' : `\nDid you mean ${meant}?`;
  return new UsageError(`the server doesn't have a resource type ${JSON.stringify(word)}${hint}`);
}

/** The library's own type where it has one, so that both are the same object. */
async function knownOr(type: ListedType): Promise<ResourceType<KubeObject>> {
  const kind = kindOf(type.plural);
  const known = kind === undefined ? undefined : await resourceTypeOf(kind);
  return known !== undefined && known.group === type.group && known.version === type.version ? known : type;
}
