import { ExecPathError } from '../common/errors.ts';
import {
  ApiStatusError,
  type ConfigMap,
  configMaps,
  isNotFound,
  type KubeClient,
  type Pod,
  type ResourceType,
  resourcePath,
  type Secret,
  type Service,
  secrets,
  serviceAccounts,
  services,
  type TokenRequest,
} from '../kubeapi/index.ts';
import { CONFIG_SOURCE } from './adopted-pod.ts';
import { manifestError } from './manifest-error.ts';

/** Longest wait for one object, in ms: the pod's next step waits with it. */
const CALL_TIMEOUT_MS = 10_000;

/** A token is renewed when this part of its life is over, as upstream does. */
const TOKEN_LIFE_USED = 0.8;
const MAX_TOKEN_AGE_MS = 24 * 3_600_000;

/** The API's default. */
const TOKEN_SECONDS = 3600;

/** The apiserver's own service. */
const MASTER_SERVICE = 'kubernetes';
const MASTER_NAMESPACE = 'default';

interface HeldToken {
  readonly token: string;
  /** ms since the epoch. */
  readonly renewAt: number;
  readonly expiresAt: number;
}

/** What a pod holds of the apiserver, as it was last seen. */
interface Held {
  readonly objects: Map<string, ConfigMap | Secret>;
  readonly tokens: Map<string, HeldToken>;
  services: readonly Service[] | undefined;
}

export interface ReferenceOptions {
  /** There need not be such an object. */
  readonly optional?: boolean;
  /** Nobody waits any more: what was held does not stand in either. */
  readonly signal?: AbortSignal | undefined;
}

export interface TokenWish {
  readonly audience?: string;
  /** Default {@link TOKEN_SECONDS}. */
  readonly expirationSeconds?: number;
}

/**
 * What pods refer to at the apiserver: config maps, secrets, tokens of their service account. While the apiserver does
 * not answer, a pod gets what it got before: so its containers start again on a node that is cut off.
 *
 * Bounded by the pods of the node: `forget` when one is gone.
 */
export class PodReferences {
  readonly #client: KubeClient | undefined;
  readonly #held = new Map<string, Held>();

  /** @param client undefined for a kubelet without an apiserver, whose pods can refer to nothing */
  constructor(client: KubeClient | undefined) {
    this.#client = client;
  }

  /** @returns undefined when there is none and that is allowed @throws ApiStatusError, ERR_MANIFEST, ERR_DIAL … */
  configMap(pod: Pod, name: string, options: ReferenceOptions = {}): Promise<ConfigMap | undefined> {
    return this.#object(pod, configMaps, name, options);
  }

  /** @returns undefined when there is none and that is allowed @throws ApiStatusError, ERR_MANIFEST, ERR_DIAL … */
  secret(pod: Pod, name: string, options: ReferenceOptions = {}): Promise<Secret | undefined> {
    return this.#object(pod, secrets, name, options);
  }

  /**
   * The services that its containers are told of: the apiserver's own, and those of its namespace unless it wants none.
   * None while they were never seen, for a pod that is not the apiserver's.
   *
   * @throws ERR_DIAL … for a pod of the apiserver
   */
  async services(pod: Pod, signal?: AbortSignal): Promise<readonly Service[]> {
    const client = this.#client;
    if (client === undefined) return [];
    const { namespace = 'default', uid = '', annotations } = pod.metadata;
    const options = { timeoutMs: CALL_TIMEOUT_MS, signal };
    try {
      const own =
        pod.spec.enableServiceLinks === false ? [] : (await client.list(services, { ...options, namespace })).items;
      const fieldSelector = `metadata.name=${MASTER_SERVICE}`;
      const masters = { ...options, namespace: MASTER_NAMESPACE, fieldSelector };
      const hasMaster = namespace === MASTER_NAMESPACE && own.length > 0;
      const all = hasMaster ? own : [...(await client.list(services, masters)).items, ...own];
      this.#heldBy(uid).services = all;
      return all;
    } catch (thrown) {
      if (signal?.aborted === true) throw thrown;
      const held = this.#held.get(uid)?.services;
      if (held !== undefined) return held;
      if (annotations?.[CONFIG_SOURCE] === 'api') throw thrown;
      return [];
    }
  }

  /** A token of the pod's service account that dies with the pod. @throws ApiStatusError, ERR_MANIFEST, ERR_DIAL … */
  async token(pod: Pod, wish: TokenWish, signal?: AbortSignal): Promise<string> {
    const { audience, expirationSeconds = TOKEN_SECONDS } = wish;
    const { namespace = 'default', name, uid = '' } = pod.metadata;
    const key = JSON.stringify([audience, expirationSeconds]);
    const held = this.#held.get(uid)?.tokens.get(key);
    const now = Date.now();
    if (held !== undefined && now < held.renewAt) return held.token;
    const account = pod.spec.serviceAccountName ?? 'default';
    const wanted: TokenRequest = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: { name: account, namespace },
      spec: {
        audiences: audience === undefined || audience === '' ? [] : [audience],
        expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
      },
    };
    const path = resourcePath(serviceAccounts, { namespace, name: account, subresource: 'token' });
    try {
      const client = this.#clientFor(`a token of service account ${account}`);
      const options = { body: wanted, timeoutMs: CALL_TIMEOUT_MS, signal };
      const { status } = await client.call<TokenRequest>('POST', path, options);
      const fresh = heldToken(status, now);
      this.#heldBy(uid).tokens.set(key, fresh);
      return fresh.token;
    } catch (thrown) {
      if (held !== undefined && now < held.expiresAt && isSilence(thrown, signal)) return held.token;
      throw thrown;
    }
  }

  /** The pod is gone. */
  forget(uid: string): void {
    this.#held.delete(uid);
  }

  async #object<T extends ConfigMap | Secret>(
    pod: Pod,
    type: ResourceType<T>,
    name: string,
    { optional = false, signal }: ReferenceOptions,
  ): Promise<T | undefined> {
    const key = `${type.plural}/${name}`;
    const { namespace = 'default', uid = '' } = pod.metadata;
    try {
      const client = this.#clientFor(`${type.kind} ${JSON.stringify(name)}`);
      const object = await client.get(type, name, { namespace, timeoutMs: CALL_TIMEOUT_MS, signal });
      this.#heldBy(uid).objects.set(key, object);
      return object;
    } catch (thrown) {
      const held = this.#held.get(uid)?.objects.get(key) as T | undefined;
      if (held !== undefined && isSilence(thrown, signal)) return held;
      if (optional && isNotFound(thrown)) return undefined;
      throw thrown;
    }
  }

  #heldBy(uid: string): Held {
    const held = this.#held.get(uid) ?? { objects: new Map(), tokens: new Map(), services: undefined };
    this.#held.set(uid, held);
    return held;
  }

  #clientFor(what: string): KubeClient {
    if (this.#client !== undefined) return this.#client;
    const message = `${what} is wanted of an apiserver, and this kubelet has none`;
    throw manifestError(message);
  }
}

/** Nothing was said of the object itself: no answer, or one of trouble with all. */
function isSilence(thrown: unknown, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted === true) return false;
  return !(thrown instanceof ApiStatusError) || thrown.httpStatus === 429 || thrown.httpStatus >= 500;
}

function heldToken(status: TokenRequest['status'], now: number): HeldToken {
  const expiresAt = Date.parse(status?.expirationTimestamp ?? '');
  if (status?.token === undefined || Number.isNaN(expiresAt)) {
    throw new ExecPathError('ERR_API_ANSWER', 'the apiserver answered a TokenRequest without a token', {
      hop: 'apiserver',
    });
  }
  const renewAt = now + Math.min((expiresAt - now) * TOKEN_LIFE_USED, MAX_TOKEN_AGE_MS);
  return { token: status.token, renewAt, expiresAt };
}
