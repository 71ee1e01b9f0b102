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
  return namesOf(pods, clientValues(request), true);
}

export async function suggestNamespaces(request: ArgumentRequest): Promise<readonly string[]> {
  return namesOf(namespaces, clientValues(request), false);
}

/** Types; behind a type its names, and behind `TYPE/` both in one word. */
export async function suggestTypesAndNames(request: ArgumentRequest): Promise<readonly string[]> {
  const { line, word } = request;
  const [, typed] = /^([^/]+)\//.exec(word) ?? [];
  const [first] = line.args;
  const isSlashed = first?.includes('/') ?? false;
  if (typed === undefined && (first === undefined || isSlashed)) return kindWords;
  const kind = kindOf(typed ?? first ?? '');
  if (kind === undefined) return [];
  const type = await resourceTypeOf(kind);
  const names = await namesOf(type, clientValues(request), type.namespaced);
  const before = typed === undefined ? '' : `${typed}/`;
  return names.map((name) => before + name).filter((name) => !line.args.includes(name));
}

/** Names of the contexts in the kubeconfig. */
export async function suggestContexts(request: ArgumentRequest): Promise<readonly string[]> {
  const { io } = request;
  const { kubeconfig } = clientValues(request);
  const { contexts } = await loadKubeconfig({ env: io.env, home: io.home, kubeconfig });
  return [...contexts.keys()];
}

/** Names of the containers of the pod that is on the line already. */
export async function suggestContainers(request: ArgumentRequest): Promise<readonly string[]> {
  const [pod] = request.line.args;
  if (pod === undefined) return [];
  const values = clientValues(request);
  const api = await openServer(serverOptions(values));
  const namespace = values.namespace ?? api.namespace;
  const { spec } = await findPod(api, { namespace, pod: podNameOf(pod) }, { timeoutMs: SUGGEST_TIMEOUT_MS });
  return [...spec.containers, ...(spec.ephemeralContainers ?? [])].map(({ name }) => name);
}

/** Every command that these complete has the flags of a client; a line of any command cannot say so. */
function clientValues({ line }: ArgumentRequest): ClientFlagValues {
  return line.values as unknown as ClientFlagValues;
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
