import {
  ApiStatusError,
  apiVersionOf,
  type Event,
  events,
  isNotFound,
  type KubeObject,
  type ListOptions,
  leases,
  limitRanges,
  MIRROR_ANNOTATION,
  type Namespace,
  NODE_LEASE_NAMESPACE,
  type Node,
  namespaces,
  nodes,
  type Pod,
  pods,
  type ResourceType,
  resourceQuotas,
  type ServiceAccount,
  serviceAccounts,
} from '../../kubeapi/index.ts';
import type { DescribeOptions } from '../describe-command.ts';
import { failureText, tellFailures } from '../failure-text.ts';
import type { Io } from '../io.ts';
import { listRefusal } from '../list-refusal.ts';
import { missingCause } from '../missing-namespace.ts';
import { readTargets, type Target } from '../targets.ts';
import { type ClusterCall, withClient } from '../with-client.ts';
import { describeEvents } from './describe-events.ts';
import { describeNamespace, type NamespaceLimits } from './describe-namespace.ts';
import { describeNode, type NodeSurroundings } from './describe-node.ts';
import { describeFields, describeServiceAccount } from './describe-others.ts';
import { describePod } from './describe-pod.ts';
import { Description } from './description.ts';

/** `podwire describe`. @returns the exit code */
export async function describeObjects(options: DescribeOptions, io: Io): Promise<number> {
  const targetsIn = await readTargets(options, io);
  return withClient(options.values, io, async (call) => {
    const { targets, failures } = await targetsIn(call);
    const describer = new Describer(options, call);
    let count = 0;
    let exitCode = tellFailures(failures, io, options.values);
    for (const target of targets) {
      try {
        const { objects, areAlike } = await describer.find(target);
        for (const object of objects) {
          const text = await describer.describe(target.type, object);
          // As kubectl: those that were guessed stand closer.
          io.out.write(areAlike ? `${text}\n` : count === 0 ? text : `\n\n${text}`);
          count += 1;
        }
      } catch (thrown) {
        if (call.signal.aborted) throw thrown;
        io.err.write(failureText(thrown, { namespace: options.values.namespace }));
        exitCode = 1;
      }
    }
    if (count === 0 && exitCode === 0) {
      const where = options.allNamespaces ? '' : ` in ${call.namespace} namespace.`;
      io.err.write(`No resources found${where}\n`);
    }
    return exitCode;
  });
}

interface DescribedObjects {
  readonly objects: readonly KubeObject[];
  /** Nothing has the name itself: these begin with it. */
  readonly areAlike: boolean;
}

class Describer {
  readonly #options: DescribeOptions;
  readonly #call: ClusterCall;

  constructor(options: DescribeOptions, call: ClusterCall) {
    this.#options = options;
    this.#call = call;
  }

  /** The object of a name, else all whose names begin with it. */
  async find({ type, name, namespace }: Target): Promise<DescribedObjects> {
    const { labelSelector } = this.#options;
    if (name === undefined) return { objects: await this.#listed(type, { namespace, labelSelector }), areAlike: false };
    try {
      const { client, signal } = this.#call;
      const object = await client.get(type, name, namespace === undefined ? { signal } : { namespace, signal });
      return { objects: [object], areAlike: false };
    } catch (thrown) {
      if (!isNotFound(thrown)) throw thrown;
      const alike = (await this.#listed(type, { namespace })).filter(({ metadata }) => metadata.name.startsWith(name));
      if (alike.length === 0) throw await missingCause(thrown, namespace, this.#call);
      return { objects: alike, areAlike: true };
    }
  }

  async describe(type: ResourceType<KubeObject>, object: KubeObject): Promise<string> {
    const text = new Description();
    if (type === pods) describePod(text, object as Pod);
    else if (type === nodes) describeNode(text, object as Node, await this.#surroundingsOf(object.metadata.name));
    else if (type === namespaces) describeNamespace(text, object as Namespace, await this.#limitsOf(object));
    else if (type === serviceAccounts) describeServiceAccount(text, object as ServiceAccount);
    else describeFields(text, { apiVersion: apiVersionOf(type), kind: type.kind, ...object });
    // Of namespaces kubectl shows no events either.
    if (this.#options.showEvents && type !== namespaces) describeEvents(text, await this.#eventsOf(type, object));
    return text.toString();
  }

  /** Events of a node name it by its uid or by its name. Who may not see events is shown none. */
  async #eventsOf(type: ResourceType<KubeObject>, { metadata }: KubeObject): Promise<readonly Event[]> {
    const { name, namespace, uid = '', annotations = {} } = metadata;
    const mirror = type === pods ? annotations[MIRROR_ANNOTATION] : undefined;
    const uids = type === nodes ? [uid, name] : [mirror ?? uid];
    const found: Event[] = [];
    for (const one of uids) {
      const fields = [
        `involvedObject.name=${name}`,
        ...(namespace === undefined ? [] : [`involvedObject.namespace=${namespace}`]),
        ...(type === pods ? [] : [`involvedObject.kind=${type.kind}`]),
        `involvedObject.uid=${one}`,
      ];
      const selection = { namespace, fieldSelector: fields.join(',') };
      found.push(...(await this.#all(events, selection).catch(noneWhenRefused)));
    }
    return found;
  }

  async #surroundingsOf(node: string): Promise<NodeSurroundings> {
    const { client, signal } = this.#call;
    const fieldSelector = `spec.nodeName=${node},status.phase!=Succeeded,status.phase!=Failed`;
    const refused = (thrown: unknown): undefined => {
      if (thrown instanceof ApiStatusError && thrown.httpStatus === 403) return undefined;
      throw thrown;
    };
    const failed = (thrown: unknown): string => {
      if (thrown instanceof ApiStatusError) return thrown.message;
      throw thrown;
    };
    return {
      pods: await this.#all(pods, { fieldSelector }).catch(refused),
      lease: await client.get(leases, node, { namespace: NODE_LEASE_NAMESPACE, signal }).catch(failed),
    };
  }

  async #limitsOf({ metadata: { name: namespace } }: KubeObject): Promise<NamespaceLimits> {
    const unknown = (thrown: unknown): undefined => {
      if (isNotFound(thrown)) return undefined;
      throw thrown;
    };
    return {
      quotas: await this.#all(resourceQuotas, { namespace }).catch(unknown),
      ranges: await this.#all(limitRanges, { namespace }).catch(unknown),
    };
  }

  /** What was asked for by the line: a refusal says what that was. */
  #listed(type: ResourceType<KubeObject>, selection: ListOptions): Promise<readonly KubeObject[]> {
    return this.#all(type, selection).catch((thrown: unknown) => {
      throw listRefusal(thrown, type, selection);
    });
  }

  async #all<T>(type: ResourceType<T>, selection: ListOptions): Promise<readonly T[]> {
    const { client, signal } = this.#call;
    const { chunkSize } = this.#options;
    const found: T[] = [];
    for (let next: string | undefined; ; ) {
      const limit = chunkSize === 0 ? undefined : chunkSize;
      const { items, metadata } = await client.list(type, { ...selection, limit, continue: next, signal });
      found.push(...items);
      if (metadata.continue === undefined || metadata.continue === '') return found;
      next = metadata.continue;
    }
  }
}

function noneWhenRefused(thrown: unknown): readonly Event[] {
  if (thrown instanceof ApiStatusError) return [];
  throw thrown;
}
