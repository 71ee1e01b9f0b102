import { apiVersionOf } from '../kubeapi/index.ts';
import { objectVerbs, type Resource, type Subresource } from './resource.ts';
import { type ReviewKind, reviewKinds } from './review-kinds.ts';

/** A kind as discovery lists it, stored or not. */
interface Discovered {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly subresources?: readonly Subresource[];
}

/**
 * What the API consists of, in the two forms that clients ask for.
 *
 * @see http-surfaces.md 3.2
 */
export class Discovery {
  readonly #all: readonly Discovered[];

  constructor(resources: readonly Resource[]) {
    this.#all = [
      ...resources
        .filter(({ isUnlisted }) => isUnlisted !== true)
        .map((resource) => ({ ...resource, verbs: resource.verbs ?? objectVerbs })),
      ...reviewKinds.map((review: ReviewKind) => ({ ...review, verbs: ['create'] })),
    ];
  }

  /** The named groups, sorted; the core group is none of them. */
  get groups(): readonly string[] {
    return [...new Set(this.#all.map(({ group }) => group))].filter((group) => group !== '').sort(byText);
  }

  /** `api/v1`, `apis/coordination.k8s.io/v1` …: where the resources of each group stand. */
  get paths(): readonly string[] {
    return [
      'api/v1',
      ...this.groups.flatMap((group) => this.#versionsOf(group).map((version) => `apis/${group}/${version}`)),
    ];
  }

  /** `GET /api`: versions of the core group. */
  legacyCore(serverAddress: string): unknown {
    const serverAddressByClientCIDRs = [{ clientCIDR: '0.0.0.0/0', serverAddress }];
    return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs };
  }

  /** `GET /apis` */
  legacyGroups(): unknown {
    const groups = this.groups.map((name) => this.#groupEntry(name));
    return { kind: 'APIGroupList', apiVersion: 'v1', groups };
  }

  /** `GET /apis/GROUP`; undefined for a group that is not there. */
  legacyGroup(group: string): unknown {
    if (!this.groups.includes(group)) return undefined;
    return { kind: 'APIGroup', apiVersion: 'v1', ...this.#groupEntry(group) };
  }

  /** `GET /api/v1` and `GET /apis/GROUP/VERSION`; undefined for what is not there. */
  resourceList(group: string, version: string): unknown {
    const members = this.#members(group, version);
    if (members.length === 0) return undefined;
    const resources = members.flatMap(({ subresources = [], ...member }) => [
      {
        name: member.plural,
        singularName: member.singular,
        namespaced: member.namespaced,
        kind: member.kind,
        verbs: member.verbs,
        ...(member.shortNames === undefined ? {} : { shortNames: member.shortNames }),
        ...(member.categories === undefined ? {} : { categories: member.categories }),
      },
      ...subresources.map(({ name, kind, verbs, group: ofGroup, version: ofVersion }) => ({
        name: `${member.plural}/${name}`,
        singularName: '',
        namespaced: member.namespaced,
        ...(ofGroup === undefined ? {} : { group: ofGroup, version: ofVersion }),
        kind,
        verbs,
      })),
    ]);
    return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf({ group, version }), resources };
  }

  /** `GET /api` (`core`) or `GET /apis` (`groups`) with everything in one document. */
  aggregated(which: 'core' | 'groups', form: 'v2' | 'v2beta1'): unknown {
    const groups = which === 'core' ? [''] : this.groups;
    const items = groups.map((group) => ({
      metadata: { ...(group === '' ? {} : { name: group }), creationTimestamp: null },
      versions: this.#versionsOf(group).map((version) => ({
        version,
        freshness: 'Current',
        resources: this.#members(group, version).map(aggregatedResource),
      })),
    }));
    return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${form}`, metadata: {}, items };
  }

  /** The kinds of one group and version, for OpenAPI. */
  kindsOf(
    group: string,
    version: string,
  ): readonly { readonly kind: string; readonly plural: string; readonly namespaced: boolean }[] {
    return this.#members(group, version);
  }

  #members(group: string, version: string): readonly Discovered[] {
    return this.#all.filter((one) => one.group === group && one.version === version);
  }

  #versionsOf(group: string): readonly string[] {
    return [...new Set(this.#all.filter((one) => one.group === group).map(({ version }) => version))];
  }

  #groupEntry(name: string): Readonly<Record<string, unknown>> {
    const versions = this.#versionsOf(name).map((version) => ({ groupVersion: `${name}/${version}`, version }));
    return { name, versions, preferredVersion: versions[0] };
  }
}

function aggregatedResource({ group, version, subresources = [], ...member }: Discovered): unknown {
  return {
    resource: member.plural,
    responseKind: { group, version, kind: member.kind },
    scope: member.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: member.singular,
    verbs: member.verbs,
    ...(member.shortNames === undefined ? {} : { shortNames: member.shortNames }),
    ...(member.categories === undefined ? {} : { categories: member.categories }),
    ...(subresources.length === 0
      ? {}
      : {
          subresources: subresources.map(({ name, kind, verbs, ...own }) => ({
            subresource: name,
            responseKind: { group: own.group ?? group, version: own.version ?? version, kind },
            verbs,
          })),
        }),
  };
}

function byText(left: string, right: string): number {
  return left < right ? -1 : 1;
}
