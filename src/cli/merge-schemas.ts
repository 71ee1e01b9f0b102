import { apiVersionOf, type KubeClient, type KubeObject, type ResourceType } from '../kubeapi/index.ts';
import type { FieldMerge, MergeSchema } from './three-way-patch.ts';

/** By whom the server is asked. */
interface SchemaCall {
  readonly client: KubeClient;
  readonly signal?: AbortSignal;
}

/** Of an OpenAPI v3 schema what says how fields are merged. */
interface Schema {
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly 'x-kubernetes-patch-strategy'?: string;
  readonly 'x-kubernetes-patch-merge-key'?: string;
  readonly 'x-kubernetes-group-version-kind'?: readonly Kind[];
}

interface Kind {
  readonly group?: string;
  readonly version?: string;
  readonly kind?: string;
}

interface PatchOperation {
  readonly requestBody?: { readonly content?: Readonly<Record<string, unknown>> };
  readonly 'x-kubernetes-group-version-kind'?: Kind;
}

interface Document {
  readonly paths?: Readonly<Record<string, { readonly patch?: PatchOperation }>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}

const FOLDER = '#/components/schemas/';

/** Tells how the fields of types are merged, by the server's own description of each group, which is asked for once. */
export class MergeSchemas {
  readonly #call: SchemaCall;
  readonly #documents = new Map<string, Promise<Document>>();

  constructor(call: SchemaCall) {
    this.#call = call;
  }

  /** @returns undefined for a type that takes no strategic merge patch, or that the server does not describe */
  async schemaOf(type: ResourceType<KubeObject>): Promise<MergeSchema | undefined> {
    const { paths = {}, components: { schemas = {} } = {} } = await this.#documentOf(type);
    const operation = Object.values(paths).find(({ patch }) => isOf(patch?.['x-kubernetes-group-version-kind'], type));
    const forms = operation?.patch?.requestBody?.content;
    const { patchTypes } = await import('../kubeapi/index.ts');
    if (forms !== undefined && !Object.hasOwn(forms, patchTypes.strategic)) return undefined;
    const schema = Object.values(schemas).find((one) =>
      one['x-kubernetes-group-version-kind']?.some((kind) => isOf(kind, type)),
    );
    return schema === undefined ? undefined : mergeSchema(schema, schemas);
  }

  #documentOf(type: ResourceType<KubeObject>): Promise<Document> {
    const group = `${type.group === '' ? 'api' : 'apis'}/${apiVersionOf(type)}`;
    const known = this.#documents.get(group);
    if (known !== undefined) return known;
    const asked = this.#ask(`/openapi/v3/${group}`);
    this.#documents.set(group, asked);
    return asked;
  }

  async #ask(path: string): Promise<Document> {
    const { ApiStatusError } = await import('../kubeapi/index.ts');
    const { client, signal } = this.#call;
    return client.call<Document>('GET', path, { signal }).catch((thrown: unknown) => {
      // A server need not describe itself, nor to everybody.
      if (thrown instanceof ApiStatusError && [403, 404, 406].includes(thrown.httpStatus)) return {};
      throw thrown;
    });
  }
}

function isOf(kind: Kind | undefined, type: ResourceType<KubeObject>): boolean {
  return kind?.kind === type.kind && kind.version === type.version && (kind.group ?? '') === type.group;
}

function mergeSchema(schema: Schema, schemas: Readonly<Record<string, Schema>>): MergeSchema {
  const resolved = (of: Schema): Schema => {
    const reference = of.$ref ?? of.allOf?.find(({ $ref }) => $ref !== undefined)?.$ref;
    return (reference === undefined ? undefined : schemas[reference.slice(FOLDER.length)]) ?? of;
  };
  return (field): FieldMerge | undefined => {
    const { properties = {}, additionalProperties } = schema;
    const others = typeof additionalProperties === 'object' ? additionalProperties : undefined;
    const found = Object.hasOwn(properties, field) ? properties[field] : others;
    if (found === undefined) return undefined;
    const strategies = found['x-kubernetes-patch-strategy']?.split(',') ?? [];
    const inner = resolved(found);
    return {
      strategy: (['merge', 'replace'] as const).find((strategy) => strategies.includes(strategy)),
      mergeKey: found['x-kubernetes-patch-merge-key'],
      retainsKeys: strategies.includes('retainKeys'),
      inner: mergeSchema(inner.items === undefined ? inner : resolved(inner.items), schemas),
    };
  };
}
