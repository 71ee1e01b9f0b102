import { badRequest, forbiddenField, invalid, invalidField } from './api-error.ts';
import type { ObjectQuery } from './object-query.ts';
import type { ListOptions } from './registry.ts';
import { isTrue } from './request-info.ts';

/** How a watch is to be served. */
export interface WatchQuery {
  readonly query: ObjectQuery;
  /** 0: from the objects that are there; `newest`: from the newest revision without them. */
  readonly after: number | 'newest';
  readonly sendInitialEvents: boolean;
  readonly allowBookmarks: boolean;
  /** `timeoutSeconds`; undefined: the server chooses. */
  readonly timeoutMs: number | undefined;
}

/** For limits and seconds: a timer counts no more milliseconds than these. */
const MAX_INTEGER = 2_147_483;

const listOptions = { group: 'meta.k8s.io', kind: 'ListOptions' };

/** The selectors of a list, watch or deletecollection. */
function objectQueryOf(query: URLSearchParams, namespace: string): ObjectQuery {
  return {
    namespace,
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
  };
}

/**
 * Reads the query of a list, or of a deletecollection, which deletes what it lists.
 *
 * @returns `atLeast`: the revision that must have been reached
 * @throws ApiError ERR_INVALID, ERR_BAD_REQUEST
 * @see Kubernetes API concepts, “Resource versions”
 */
export function listOptionsOf(query: URLSearchParams, namespace: string): ListOptions & { readonly atLeast: number } {
  const limit = integerOf(query, 'limit');
  const token = query.get('continue') ?? '';
  const resourceVersion = revisionOf(query);
  const match = query.get('resourceVersionMatch') ?? '';
  if (token !== '' && resourceVersion > 0) {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  if (match !== '') checkMatch(query, match, resourceVersion, token);
  const isExact = match === 'Exact' || (match === '' && limit > 0);
  return {
    ...objectQueryOf(query, namespace),
    limit,
    ...(token === '' ? {} : { continue: token }),
    ...(isExact && resourceVersion > 0 ? { revision: resourceVersion } : {}),
    atLeast: resourceVersion,
  };
}

/**
 * Reads the query of a watch.
 *
 * @throws ApiError ERR_INVALID, ERR_BAD_REQUEST
 */
export function watchQueryOf(query: URLSearchParams, namespace: string): WatchQuery {
  const sendInitialEvents = query.get('sendInitialEvents');
  const match = query.get('resourceVersionMatch') ?? '';
  if (sendInitialEvents === null && match !== '') {
    throw refusedMatch('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided');
  }
  if (sendInitialEvents !== null && match !== 'NotOlderThan') {
    throw refusedMatch('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
  }
  const after = revisionOf(query);
  const seconds = integerOf(query, 'timeoutSeconds');
  const isWithoutObjects = sendInitialEvents !== null && !isTrue(sendInitialEvents);
  return {
    query: objectQueryOf(query, namespace),
    after: isWithoutObjects && after === 0 ? 'newest' : after,
    sendInitialEvents: isTrue(sendInitialEvents),
    allowBookmarks: isTrue(query.get('allowWatchBookmarks')),
    timeoutMs: seconds === 0 ? undefined : seconds * 1000,
  };
}

function checkMatch(query: URLSearchParams, match: string, resourceVersion: number, token: string): void {
  if (token !== '') throw refusedMatch('resourceVersionMatch is forbidden when continue is provided');
  if (query.get('resourceVersion') === null) {
    throw refusedMatch('resourceVersionMatch is forbidden unless resourceVersion is provided');
  }
  if (match !== 'Exact' && match !== 'NotOlderThan') {
    const why = 'supported values: "Exact", "NotOlderThan", ""';
    throw invalid(listOptions, '', [invalidField('resourceVersionMatch', match, why)]);
  }
  if (match === 'Exact' && resourceVersion === 0) {
    throw refusedMatch('resourceVersionMatch "Exact" is forbidden for resourceVersion "0"');
  }
}

function refusedMatch(why: string): Error {
  return invalid(listOptions, '', [forbiddenField('resourceVersionMatch', why)]);
}

/** `''` and `0` both mean "any". */
function revisionOf(query: URLSearchParams): number {
  const text = query.get('resourceVersion') ?? '';
  if (text === '') return 0;
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw invalid(listOptions, '', [invalidField('resourceVersion', text, 'must be a number that the server has given')]);
}

function integerOf(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '';
  if (text === '') return 0;
  if (/^\d{1,9}$/.test(text) && Number(text) <= MAX_INTEGER) return Number(text);
  throw badRequest(`${name} ${JSON.stringify(text)} is not a number from 0 to ${MAX_INTEGER}`);
}
