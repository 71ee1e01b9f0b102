import { isNotFound, namespaces } from '../kubeapi/index.ts';
import type { ClusterCall } from './with-client.ts';

/**
 * Why an object was not found: an apiserver says the same when its whole namespace is missing, so that is looked up.
 *
 * @param thrown what the call for the object failed with
 * @returns the failure to tell, `thrown` itself where the namespace is there or nobody may say
 */
export async function missingCause(
  thrown: unknown,
  namespace: string | undefined,
  { client, signal }: ClusterCall,
): Promise<unknown> {
  // As kubectl: `default` is always there.
  if (!isNotFound(thrown) || namespace === undefined || namespace === 'default') return thrown;
  return client.get(namespaces, namespace, { signal }).then(
    () => thrown,
    (why: unknown) => (isNotFound(why) ? why : thrown),
  );
}
