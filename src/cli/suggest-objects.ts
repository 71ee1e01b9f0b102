import { findPod, openServer } from '../client/index.ts';
import { KubeClient, type KubeObject, loadKubeconfig, namespaces, pods, type ResourceType } from '../kubeapi/index.ts';
import { type ClientFlagValues, serverOptions } from './client-flags.ts';
import type { ArgumentRequest } from './command.ts';
import { kindOf, kindWords, resourceTypeOf } from './object-kinds.ts';
import { podNameOf } from './pod-argument.ts';

/** A shell waits for candidates with each tab, so not for long. */
const SUGGEST_TIMEOUT_MS = 3000;

/** Names of pods for completion. */
export async function suggestPods(request: ArgumentRequest): Promise<readonly string[]> {
  const values = request.line.values as unknown as ClientFlagValues;
  return namesOf(pods, values, true);
}

export async function suggestNamespaces({ line }: ArgumentRequest): Promise<readonly string[]> {
  return namesOf(namespaces, line.values as unknown as ClientFlagValues, false);
}

/** Types; behind a type its names, and behind `TYPE/` both in one word. */
export async function suggestTypesAndNames({ line, word }: ArgumentRequest): Promise<readonly string[]> {
  const values = line.values as unknown as ClientFlagValues;
  const [, typed] = /^([^/]+)\//.exec(word) ?? [];
  const [first] = line.args;
  const isSlashed = first?.includes('/') ?? false;
  if (typed === undefined && (first === undefined || isSlashed)) return kindWords;
  const kind = kindOf(typed ?? first ?? '');
  if (kind === undefined) return [];
  const type = await resourceTypeOf(kind);
  const names = await namesOf(type, values, type.namespaced);
  const before = typed === undefined ? '' : `${typed}/`;
  return names.map((name) => before + name).filter((name) => !line.args.includes(name));
}

/** Names of the contexts in the kubeconfig. */
export async function suggestContexts({ line, io }: ArgumentRequest): Promise<readonly string[]> {
  const { kubeconfig } = line.values as unknown as ClientFlagValues;
  const { contexts } = await loadKubeconfig({ env: io.env, home: io.home, kubeconfig });
  return [...contexts.keys()];
}

/** Names of the containers of the pod that is on the line already. */
export async function suggestContainers({ line }: ArgumentRequest): Promise<readonly string[]> {
  const [pod] = line.args;
  if (pod === undefined) return [];
  const values = line.values as unknown as ClientFlagValues;
  const api = await openServer(serverOptions(values));
  const namespace = values.namespace ?? api.namespace;
  const { spec } = await findPod(api, { namespace, pod: podNameOf(pod) }, { timeoutMs: SUGGEST_TIMEOUT_MS });
  return [...spec.containers, ...(spec.ephemeralContainers ?? [])].map(({ name }) => name);
}

async function namesOf(
  type: ResourceType<KubeObject>,
  values: ClientFlagValues,
  namespaced: boolean,
): Promise<readonly string[]> {
  const api = await openServer(serverOptions(values));
  const client = new KubeClient(api, { timeoutMs: SUGGEST_TIMEOUT_MS });
  try {
    const namespace = namespaced ? { namespace: values.namespace ?? api.namespace } : {};
    const { items } = await client.list(type, { ...namespace, limit: 500 });
    return items.map(({ metadata }) => metadata.name);
  } finally {
    client.close();
  }
}
