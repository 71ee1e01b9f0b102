import { setTimeout as wait } from 'node:timers/promises';
import { isJsonObject, type JsonObject } from '../common/json-object.ts';
import {
  ApiStatusError,
  isNotFound,
  type KubeObject,
  type PatchOptions,
  type Query,
  type ResourceType,
} from '../kubeapi/index.ts';
import { namingSource } from './each-object.ts';
import { LAST_APPLIED, lastApplied, withLastApplied } from './last-applied.ts';
import type { ManifestObject } from './manifest-files.ts';
import { MergeSchemas } from './merge-schemas.ts';
import { hasList, type ThreeStates, threeWayPatch } from './three-way-patch.ts';
import type { ClusterCall } from './with-client.ts';

export interface ApplierOptions {
  readonly dryRun: 'none' | 'client' | 'server';
  readonly fieldValidation: 'Strict' | 'Warn' | 'Ignore';
  /** Told what is no failure, without `Warning:`. */
  readonly onWarning: (text: string) => void;
}

/** What became of an object, and as what it is there now. */
export interface Applied {
  readonly outcome: 'created' | 'configured' | 'unchanged';
  readonly object: KubeObject;
}

/** An object of the cluster by its address. */
interface Target {
  readonly type: ResourceType<KubeObject>;
  readonly name: string;
  readonly source: string;
  readonly address: { readonly namespace?: string; readonly signal: AbortSignal };
}

/** A patch that meets another writer is made anew so often, as kubectl's is: at once, then after a pause each. */
const MAX_RETRIES = 5;
const RETRY_PAUSE_MS = 1000;

/** Makes objects of the cluster be as manifests say. */
export class ObjectApplier {
  readonly #call: ClusterCall;
  readonly #options: ApplierOptions;
  readonly #schemas: MergeSchemas;

  constructor(call: ClusterCall, options: ApplierOptions) {
    this.#call = call;
    this.#options = options;
    this.#schemas = new MergeSchemas(call);
  }

  /** @throws ApiStatusError that names the file */
  async apply({ type, object, source }: ManifestObject): Promise<Applied> {
    const { client, signal } = this.#call;
    const { name } = object.metadata;
    const namespace = type.namespaced ? (object.metadata.namespace ?? this.#call.namespace) : undefined;
    const address = namespace === undefined ? { signal } : { namespace, signal };
    const placed = namespace === undefined ? object : { ...object, metadata: { ...object.metadata, namespace } };
    const wanted = withLastApplied(placed);
    const before = await client.get(type, name, address).catch((thrown: unknown) => {
      if (isNotFound(thrown)) return undefined;
      throw thrown;
    });
    const fresh = withoutNulls(wanted) as KubeObject;
    if (this.#options.dryRun === 'client') {
      return before === undefined ? { outcome: 'created', object: fresh } : { outcome: 'configured', object: before };
    }
    if (before === undefined) {
      const creation = client.create(type, fresh, { ...address, query: this.#query });
      return { outcome: 'created', object: await namingSource('creating', source, creation) };
    }
    if (before.metadata.annotations?.[LAST_APPLIED] === undefined) {
      this.#options.onWarning(
        `resource ${type.plural}/${name} is missing the ${LAST_APPLIED} annotation which is required by podwire ` +
          'apply. podwire apply should only be used on resources created declaratively by either kubectl create ' +
          '--save-config or podwire apply. The missing annotation will be patched automatically.',
      );
    }
    const change = this.#changeUntilTaken({ type, name, source, address }, wanted, before);
    return await namingSource('patching', source, change);
  }

  async #changeUntilTaken(target: Target, wanted: KubeObject, before: KubeObject): Promise<Applied> {
    const { client, signal } = this.#call;
    for (let current = before, attempt = 0; ; attempt += 1) {
      try {
        const after = await this.#change(target, wanted, current);
        if ((after ?? current).metadata.deletionTimestamp !== undefined) {
          this.#options.onWarning(`Detected changes to resource ${target.name} which is currently being deleted.`);
        }
        return after === undefined
          ? { outcome: 'unchanged', object: current }
          : { outcome: 'configured', object: after };
      } catch (thrown) {
        if (!hasHttpStatus(thrown, 409) || attempt === MAX_RETRIES) throw thrown;
      }
      if (attempt > 0) await wait(RETRY_PAUSE_MS, undefined, { signal });
      current = await client.get(target.type, target.name, target.address);
    }
  }

  /** @returns undefined when nothing has to change: then nothing is sent */
  async #change(target: Target, wanted: KubeObject, before: KubeObject): Promise<KubeObject | undefined> {
    const states: ThreeStates<JsonObject> = {
      original: lastApplied(before) ?? {},
      modified: { ...wanted },
      current: { ...before },
    };
    const mergePatch = threeWayPatch(states);
    if (Object.keys(mergePatch).length === 0) return undefined;
    const needsSchema = hasList(states.modified) || hasList(states.original);
    const schema = needsSchema ? await this.#schemas.schemaOf(target.type) : undefined;
    if (schema === undefined) return await this.#patch(target, mergePatch, 'merge');
    const patch = threeWayPatch(states, schema);
    if (Object.keys(patch).length === 0) return undefined;
    return await this.#patch(target, patch, 'strategic').catch((thrown: unknown) => {
      if (!hasHttpStatus(thrown, 415)) throw thrown;
      return this.#patch(target, mergePatch, 'merge');
    });
  }

  #patch(
    { type, name, address }: Target,
    patch: JsonObject,
    patchType: NonNullable<PatchOptions['patchType']>,
  ): Promise<KubeObject> {
    return this.#call.client.patch(type, name, patch, { ...address, patchType, query: this.#query });
  }

  get #query(): Query {
    const { dryRun, fieldValidation } = this.#options;
    const fieldManager = 'podwire-client-side-apply';
    return { fieldManager, fieldValidation, dryRun: dryRun === 'server' ? 'All' : undefined };
  }
}

function hasHttpStatus(thrown: unknown, httpStatus: number): boolean {
  return thrown instanceof ApiStatusError && thrown.httpStatus === httpStatus;
}

/** A field that a manifest sets to null is not there. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutNulls(inner)]));
}
