import { createHash } from 'node:crypto';
import type { Discovery } from './discovery.ts';
import {
  encodeOpenApiV2,
  type OpenApiV2Document,
  type PatchOperation,
  type QueryParameter,
} from './openapi-protobuf.ts';
import { isDescribed, type ServedKind, schemasOf } from './openapi-schema.ts';
import { VERSION } from './version.ts';

/** What the API consists of in OpenAPI's words, made once from the facts of its types. */
export class OpenApi {
  readonly #discovery: Discovery;
  readonly #documents = new Map<string, { readonly text: string; readonly hash: string }>();
  #v2: OpenApiV2Document | undefined;
  #v2Bytes: Buffer | undefined;

  constructor(discovery: Discovery) {
    this.#discovery = discovery;
  }

  /** `GET /openapi/v3`: where the document of each group and version is; the hash is what clients keep it under. */
  paths(): unknown {
    const paths = this.#discovery.paths.map((path) => {
      const { hash = '' } = this.#documentAt(path) ?? {};
      return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }];
    });
    return { paths: Object.fromEntries(paths) };
  }

  /**
   * `GET /openapi/v3/PATH` as JSON: the schemas of the kinds, and for each kind the operations by which clients find it
   * and see that the server validates fields.
   *
   * @returns undefined for a path that is not there
   */
  document(path: string): string | undefined {
    return this.#documentAt(path)?.text;
  }

  /** `GET /openapi/v2` as JSON: the schemas of all kinds. */
  get v2(): OpenApiV2Document {
    const paths = this.#discovery.paths;
    this.#v2 ??= {
      swagger: '2.0',
      info: { title: 'podwire', version: VERSION.gitVersion },
      paths: Object.fromEntries(paths.flatMap((path) => this.#servedAt(path).map((served) => patchOf(path, served)))),
      definitions: schemasOf(
        paths.flatMap((path) => this.#kindsAt(path)),
        { folder: '#/definitions/', isRich: false },
      ),
    };
    return this.#v2;
  }

  /** The same as protobuf, which kubectl before 1.27 wants before it sends anything. */
  get v2Bytes(): Buffer {
    this.#v2Bytes ??= encodeOpenApiV2(this.v2);
    return this.#v2Bytes;
  }

  #documentAt(path: string): { readonly text: string; readonly hash: string } | undefined {
    if (!this.#discovery.paths.includes(path)) return undefined;
    const known = this.#documents.get(path);
    if (known !== undefined) return known;
    const text = `${JSON.stringify(this.#build(path))}\n`;
    const hash = createHash('sha256').update(text).digest('hex').slice(0, 32);
    this.#documents.set(path, { text, hash });
    return { text, hash };
  }

  #servedAt(path: string): Served[] {
    const { group, version } = groupOf(path);
    return this.#discovery.kindsOf(group, version).map(({ kind, plural, namespaced }) => ({
      collection: namespaced ? `/${path}/namespaces/{namespace}/${plural}` : `/${path}/${plural}`,
      kind,
      type: { 'x-kubernetes-group-version-kind': { group, version, kind } },
    }));
  }

  #kindsAt(path: string): ServedKind[] {
    const extra = path === 'api/v1' ? ['Binding'] : [];
    return [...this.#servedAt(path).map(({ kind }) => kind), ...extra]
      .filter(isDescribed)
      .map((kind) => ({ ...groupOf(path), kind }));
  }

  #build(path: string): unknown {
    const operations = this.#servedAt(path).flatMap(({ collection, kind, type }) => {
      const responses = { 200: { description: 'OK' } };
      const get = { operationId: `list${kind}`, responses, 'x-kubernetes-action': 'list', ...type };
      const parameters = queryParameters.map(({ type: valueType, ...parameter }) => ({
        ...parameter,
        schema: { type: valueType, uniqueItems: true },
      }));
      const patch = { operationId: `patch${kind}`, parameters, responses, 'x-kubernetes-action': 'patch', ...type };
      return [
        [collection, { get }],
        [`${collection}/{name}`, { patch }],
      ];
    });
    return {
      openapi: '3.0.0',
      info: { title: 'podwire', version: VERSION.gitVersion },
      paths: Object.fromEntries(operations),
      components: { schemas: schemasOf(this.#kindsAt(path), { folder: '#/components/schemas/', isRich: true }) },
    };
  }
}

/** A kind where its objects stand. */
interface Served {
  readonly collection: string;
  readonly kind: string;
  readonly type: { readonly 'x-kubernetes-group-version-kind': ServedKind };
}

function groupOf(path: string): { readonly group: string; readonly version: string } {
  const parts = path.split('/');
  const [group = '', version = ''] = parts.length === 2 ? ['', parts[1]] : parts.slice(1);
  return { group, version };
}

/** Clients look there whether a kind knows dry-run and field validation. */
const queryParameters: readonly QueryParameter[] = [
  {
    name: 'dryRun',
    in: 'query',
    description: 'All: everything is checked and answered, and nothing is written.',
    type: 'string',
  },
  {
    name: 'fieldValidation',
    in: 'query',
    description: 'What becomes of fields that the kind does not have: Strict refuses them, Warn and Ignore drop them.',
    type: 'string',
  },
];

function patchOf(path: string, { collection, kind, type }: Served): [string, { readonly patch: PatchOperation }] {
  const operationId = `patch${kind}${path.replaceAll(/\W/g, '')}`;
  return [`${collection}/{name}`, { patch: { operationId, parameters: queryParameters, ...type } }];
}
