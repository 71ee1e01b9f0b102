import { badRequest } from './api-error.ts';
import { type FieldSelector, parseFieldSelector } from './field-selector.ts';

/** A request for objects: `/api/v1/…` or `/apis/GROUP/VERSION/…` with a resource. */
export interface ResourceRequest {
  readonly kind: 'resource';
  /** get, list, watch, create, update, patch, delete, deletecollection; '' for a method that is none of them. */
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  /** `status`, `exec` …; `''` for the object itself. */
  readonly subresource: string;
  /** `''` for all namespaces, or for kinds that have none. */
  readonly namespace: string;
  /** `''` for a collection. */
  readonly name: string;
  /** From the query; empty for single objects. */
  readonly fieldSelector: FieldSelector;
}

/** Any other request: discovery, health, version. */
export interface PathRequest {
  readonly kind: 'path';
  /** The method in lower case. */
  readonly verb: string;
  readonly path: string;
}

export type RequestInfo = ResourceRequest | PathRequest;

/** The parts of a request's target that the routes look at. */
export interface RequestTarget {
  /** As sent: percent-encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
}

/**
 * Splits a request target into path and query.
 *
 * @throws ExecPathError ERR_BAD_REQUEST when it is not a path
 */
export function parseTarget(target: string): RequestTarget {
  if (!target.startsWith('/')) throw badRequest(`the request target ${JSON.stringify(target)} is not a path`);
  const mark = target.indexOf('?');
  if (mark === -1) return { path: target, query: new URLSearchParams() };
  return { path: target.slice(0, mark), query: new URLSearchParams(target.slice(mark + 1)) };
}

/**
 * What a request asks for, as authorization and audit name it.
 *
 * @throws ExecPathError ERR_BAD_REQUEST for a path or field selector that cannot be read
 * @see kubernetes/apiserver pkg/endpoints/request/requestinfo.go
 */
export function requestInfoOf(method: string, { path, query }: RequestTarget): RequestInfo {
  const segments = path.split('/').filter((segment) => segment !== '');
  const isCore = segments[0] === 'api';
  const rest = segments.slice(isCore ? 2 : 3).map(decodeSegment);
  if ((!isCore && segments[0] !== 'apis') || rest.length === 0) {
    return { kind: 'path', verb: method.toLowerCase(), path };
  }
  const { namespace, parts } = splitNamespace(rest);
  const [resource = '', name = '', ...subresource] = parts;
  const isCollection = name === '';
  const fieldSelector = parseFieldSelector(isCollection ? (query.get('fieldSelector') ?? '') : '');
  return {
    kind: 'resource',
    verb: verbOf(method, isCollection, isTrue(query.get('watch'))),
    group: isCore ? '' : decodeSegment(segments[1] ?? ''),
    version: decodeSegment(segments[isCore ? 1 : 2] ?? ''),
    resource,
    subresource: subresource.join('/'),
    namespace,
    name,
    fieldSelector,
  };
}

/** A query parameter as upstream reads booleans: absent, `0` and `false` in any case are false, anything else is true. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}

/** `namespaces/NS/RESOURCE…` stands for a resource in NS; `namespaces/NS` and its own subresources for NS itself. */
function splitNamespace(rest: readonly string[]): { namespace: string; parts: readonly string[] } {
  const [first, namespace = '', third] = rest;
  if (first !== 'namespaces' || third === undefined || third === 'status' || third === 'finalize') {
    return { namespace: '', parts: rest };
  }
  return { namespace, parts: rest.slice(2) };
}

function verbOf(method: string, isCollection: boolean, isWatch: boolean): string {
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (!isCollection) return 'get';
      return isWatch ? 'watch' : 'list';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return isCollection ? 'deletecollection' : 'delete';
    default:
      return '';
  }
}

/** A name that would step up or down the path is none. */
function decodeSegment(segment: string): string {
  let text: string;
  try {
    text = decodeURIComponent(segment);
  } catch (cause) {
    throw badRequest(`${JSON.stringify(segment)} is not a percent-encoded path segment`, cause);
  }
  if (text === '.' || text === '..' || text.includes('/')) {
    throw badRequest(`${JSON.stringify(text)} cannot be a name in a path`);
  }
  return text;
}
