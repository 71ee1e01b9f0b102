import { badRequest, type FieldError, forbiddenField, invalid, invalidField, unsupportedField } from './api-error.ts';
import type { ObjectQuery } from './object-query.ts';
import { queryInteger } from './query-integer.ts';
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

/** A timer counts no more milliseconds than these. */
const MAX_SECONDS = 2_147_483;

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
  const { limit } = integersOf(query);
  const token = query.get('continue') ?? '';
  const match = query.get('resourceVersionMatch') ?? '';
  refuse([
    ...(match === '' ? [] : matchErrors(query, match)),
    ...(query.has('sendInitialEvents')
      ? [forbiddenField('sendInitialEvents', 'sendInitialEvents is forbidden for list')]
      : []),
  ]);
  const resourceVersion = revisionOf(query);
  if (token !== '' && resourceVersion > 0) {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
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
  const { seconds } = integersOf(query);
  const sendInitialEvents = query.get('sendInitialEvents');
  refuse(watchErrors(query));
  const after = revisionOf(query);
  const isWithoutObjects = sendInitialEvents !== null && !isTrue(sendInitialEvents);
  return {
    query: objectQueryOf(query, namespace),
    after: isWithoutObjects && after === 0 ? 'newest' : after,
    sendInitialEvents: isTrue(sendInitialEvents),
    allowBookmarks: isTrue(query.get('allowWatchBookmarks')),
    timeoutMs: seconds === 0 ? undefined : Math.min(Math.max(seconds, 0), MAX_SECONDS) * 1000,
  };
}

function matchErrors(query: URLSearchParams, match: string): FieldError[] {
  const revision = query.get('resourceVersion') ?? '';
  const isKnown = match === 'Exact' || match === 'NotOlderThan';
  return [
    ...(revision === '' ? [matchForbidden('is forbidden unless resourceVersion is provided')] : []),
    ...continuedErrors(query),
    ...(isKnown ? [] : [unsupportedField('resourceVersionMatch', match, ['Exact', 'NotOlderThan', ''])]),
    ...(match === 'Exact' && revision === '0' ? [matchForbidden('"exact" is forbidden for resourceVersion "0"')] : []),
  ];
}

/** @see kubernetes/apimachinery pkg/apis/meta/internalversion/validation, validateWatchOptions */
function watchErrors(query: URLSearchParams): FieldError[] {
  const match = query.get('resourceVersionMatch') ?? '';
  const isNewest = match === 'NotOlderThan';
  const hasInitial = query.has('sendInitialEvents');
  const rule = 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan';
  return [
    ...(hasInitial && !isNewest ? [forbiddenField('resourceVersionMatch', rule)] : []),
    ...(match === '' || hasInitial
      ? []
      : [matchForbidden('is forbidden for watch unless sendInitialEvents is provided')]),
    ...(match === '' || isNewest ? [] : [unsupportedField('resourceVersionMatch', match, ['NotOlderThan'])]),
    ...(match === '' ? [] : continuedErrors(query)),
  ];
}

function continuedErrors(query: URLSearchParams): FieldError[] {
  const isContinued = (query.get('continue') ?? '') !== '';
  return isContinued ? [matchForbidden('is forbidden when continue is provided')] : [];
}

function matchForbidden(why: string): FieldError {
  return forbiddenField('resourceVersionMatch', `resourceVersionMatch ${why}`);
}

function refuse(errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalid(listOptions, '', errors);
}

/** The numbers of a query, all of which are read, whatever is asked for; what is below zero is no limit. */
function integersOf(query: URLSearchParams): { readonly limit: number; readonly seconds: number } {
  const limit = queryInteger(query, 'limit') ?? 0;
  return { limit: Math.max(limit, 0), seconds: queryInteger(query, 'timeoutSeconds') ?? 0 };
}

/** `''` and `0` both mean "any". */
function revisionOf(query: URLSearchParams): number {
  const text = query.get('resourceVersion') ?? '';
  if (text === '') return 0;
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw invalid(listOptions, '', [invalidField('resourceVersion', text, 'must be a number that the server has given')]);
}
