import { ApiStatusError, type ResourceType } from '../kubeapi/index.ts';

/**
 * Why a list was refused, with what was asked for, in kubectl's words.
 *
 * @param thrown what the call for the list failed with
 * @returns the failure to tell, `thrown` itself where kubectl adds nothing
 */
export function listRefusal(
  thrown: unknown,
  type: ResourceType<unknown>,
  selection: { readonly labelSelector?: string | undefined; readonly fieldSelector?: string | undefined },
): unknown {
  if (!(thrown instanceof ApiStatusError) || ![400, 404].includes(thrown.httpStatus)) return thrown;
  const { labelSelector = '', fieldSelector = '' } = selection;
  const { group, version, plural } = type;
  const what = JSON.stringify(`${group}/${version}, Resource=${plural}`);
  if (labelSelector === '' && fieldSelector === '') return thrown.saying(`Unable to list ${what}: ${thrown.message}`);
  const selectors = `label selector ${JSON.stringify(labelSelector)}, field selector ${JSON.stringify(fieldSelector)}`;
  return thrown.saying(`Unable to find ${what} that match ${selectors}: ${thrown.message}`);
}
