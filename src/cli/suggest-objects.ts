import { findPod, openServer } from '../client/index.ts';
import { KubeClient, type KubeObject, loadKubeconfig, namespaces, pods, type ResourceType } from '../kubeapi/index.ts';
import { type ClientFlagValues, serverOptions } from './client-flags.ts';
import type { ArgumentRequest } from './command.ts';
import { kindWords } from './object-kinds.ts';
import { podNameOf } from './pod-argument.ts';
import { TypeFinder } from './type-finder.ts';

/** A shell waits for candidates with each tab, so not for long. */
const SUGGEST_TIMEOUT_MS = 3000;

/** Names of pods for completion. */
export async function suggestPods(request: ArgumentRequest): Promise<readonly string[]> {
  return withClient(clientValues(request), (client, namespace) => namesOf(client, pods, namespace));
}

export async function suggestNamespaces(request: ArgumentRequest): Promise<readonly string[]> {
  return withClient(clientValues(request), (client, namespace) => namesOf(client, namespaces, namespace));
}

/** Types; behind a type its names, and behind `TYPE/` both in one word. */
export async function suggestTypesAndNames(request: ArgumentRequest): Promise<readonly string[]> {
  const { line, word } = request;
  const [, typed] = /^([^/]+)\//.exec(word) ?? [];
  const [first] = line.args;
  const isSlashed = first?.includes('/') ?? false;
  if (typed === undefined && (first === undefined || isSlashed)) {
    const [listed = ''] = /^.*,/s.exec(word) ?? [];
    const before = listed.split(',');
    return (await suggestTypes(request)).filter((type) => !before.includes(type)).map((type) => listed + type);
  }
  return withClient(clientValues(request), async (client, namespace) => {
    const [type] = await new TypeFinder({ client }).typesOf(typed ?? first ?? '');
    if (type === undefined) return [];
    const names = await namesOf(client, type, namespace);
    const before = typed === undefined ? '' : `${typed}/`;
    return names.map((name) => before + name).filter((name) => !line.args.includes(name));
  });
}

/** Those of the server, else, also of one that takes too long, those that are known without it. */
async function suggestTypes(request: ArgumentRequest): Promise<readonly string[]> {
  // Discovery may take several calls: the time is for all of them.
  const signal = AbortSignal.timeout(SUGGEST_TIMEOUT_MS);
  const late = new Promise<readonly string[]>((resolve) => {
    signal.addEventListener('abort', () => resolve(kindWords), { once: true });
  });
  const listed = withClient(clientValues(request), (client) => new TypeFinder({ client, signal }).words());
  return Promise.race([listed.catch(() => kindWords), late]);
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

async function withClient<T>(
  values: ClientFlagValues,
  run: (client: KubeClient, namespace: string) => Promise<T>,
): Promise<T> {
  const api = await openServer(serverOptions(values));
  const client = new KubeClient(api, { timeoutMs: SUGGEST_TIMEOUT_MS });
  try {
    return await run(client, values.namespace ?? api.namespace);
  } finally {
    client.close();
  }
}

async function namesOf(
  client: KubeClient,
  type: ResourceType<KubeObject>,
  namespace: string,
): Promise<readonly string[]> {
  const { items } = await client.list(type, { ...(type.namespaced ? { namespace } : {}), limit: 500 });
  return items.map(({ metadata }) => metadata.name);
}
