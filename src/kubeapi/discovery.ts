import type { KubeClient } from './client.ts';
import type { KubeObject } from './object-meta.ts';
import type { ResourceType } from './resource-type.ts';

/** The words by which people name a type, and what can be done with its objects. */
interface Words {
  /** `pod`; '' from a server that does not say. */
  readonly singular: string;
  readonly shortNames: readonly string[];
  /** Words that stand for several types, such as `all`. */
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
}

/** A type as a server lists it. */
export type ListedType = ResourceType<KubeObject> & Words;

/** All in one document, which servers have had since 1.26, in the form that both ask for first. */
const ACCEPT_AGGREGATED = [
  ...['v2', 'v2beta1'].map((form) => `application/json;g=apidiscovery.k8s.io;v=${form};as=APIGroupDiscoveryList`),
  'application/json',
].join(',');

interface AggregatedResource extends Partial<Omit<Words, 'singular'>> {
  readonly resource: string;
  readonly singularResource?: string;
  readonly responseKind?: { readonly kind?: string };
  readonly scope: 'Namespaced' | 'Cluster';
}

interface AggregatedList {
  readonly kind: 'APIGroupDiscoveryList';
  readonly items?: readonly {
    readonly metadata: { readonly name?: string };
    readonly versions?: readonly { readonly version: string; readonly resources?: readonly AggregatedResource[] }[];
  }[];
}

interface VersionList {
  readonly kind: 'APIVersions';
  readonly versions: readonly string[];
}

interface GroupList {
  readonly kind: 'APIGroupList';
  readonly groups: readonly {
    readonly name: string;
    readonly versions: readonly { readonly version: string }[];
  }[];
}

interface ResourceList {
  readonly resources?: readonly (Partial<Omit<Words, 'singular'>> & {
    readonly name: string;
    readonly singularName?: string;
    readonly kind: string;
    readonly namespaced: boolean;
  })[];
}

/**
 * Asks a server for all its types: the core group first, then the others in the server's order, and of each the
 * versions in the server's order. A group that cannot be asked just now is left out.
 */
export async function listTypes(
  client: KubeClient,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<readonly ListedType[]> {
  const [core, groups] = await Promise.all([
    client.call<AggregatedList | VersionList>('GET', '/api', { ...options, accept: ACCEPT_AGGREGATED }),
    client.call<AggregatedList | GroupList>('GET', '/apis', { ...options, accept: ACCEPT_AGGREGATED }),
  ]);
  const piecewise: { readonly group: string; readonly version: string }[] = [];
  const found: ListedType[] = [];
  if (core.kind === 'APIGroupDiscoveryList') found.push(...typesOfAggregated(core));
  else piecewise.push(...core.versions.map((version) => ({ group: '', version })));
  if (groups.kind === 'APIGroupDiscoveryList') found.push(...typesOfAggregated(groups));
  else {
    for (const { name, versions } of groups.groups) {
      piecewise.push(...versions.map(({ version }) => ({ group: name, version })));
    }
  }
  const pieces = await Promise.all(piecewise.map((place) => typesAt(client, place, options)));
  return [...found, ...pieces.flat()];
}

function typesOfAggregated({ items = [] }: AggregatedList): ListedType[] {
  return items.flatMap(({ metadata: { name: group = '' }, versions = [] }) =>
    versions.flatMap(({ version, resources = [] }) =>
      resources.flatMap(({ resource, singularResource, responseKind: { kind = '' } = {}, scope, ...words }) => {
        const type = { group, version, plural: resource, kind, namespaced: scope === 'Namespaced' };
        // One without a kind is there for its subresources alone.
        return kind === '' ? [] : [listed(type, { ...words, singular: singularResource })];
      }),
    ),
  );
}

async function typesAt(
  client: KubeClient,
  { group, version }: { readonly group: string; readonly version: string },
  options: { readonly signal?: AbortSignal | undefined },
): Promise<ListedType[]> {
  const path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const { resources = [] } = await client.call<ResourceList>('GET', path, options).catch((thrown): ResourceList => {
    if (group === '' || options.signal?.aborted === true) throw thrown;
    return {};
  });
  return resources
    .filter(({ name }) => !name.includes('/'))
    .map(({ name, singularName, kind, namespaced, ...words }) =>
      listed({ group, version, plural: name, kind, namespaced }, { ...words, singular: singularName }),
    );
}

function listed(
  type: ResourceType<KubeObject>,
  { singular = '', shortNames = [], categories = [], verbs = [] }: { [K in keyof Words]?: Words[K] | undefined },
): ListedType {
  return { ...type, singular, shortNames, categories, verbs };
}
