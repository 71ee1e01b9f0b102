import type { IncomingMessage } from 'node:http';
import { authenticatedUser, replaceHeader, type User } from '../identity/index.ts';
import { badRequest } from './api-error.ts';
import { FieldSelector } from './field-selector.ts';
import type { ResourceRequest } from './request-info.ts';

const PREFIX = 'impersonate-';
const EXTRA_PREFIX = 'impersonate-extra-';
const knownHeaders: ReadonlySet<string> = new Set(['impersonate-user', 'impersonate-group', 'impersonate-uid']);

/** Somebody acts as somebody else. */
export interface Impersonation {
  readonly user: User;
  /** What the one who asks must be allowed, each of them. */
  readonly permissions: readonly ResourceRequest[];
}

/**
 * Takes the `Impersonate-…` headers, as `kubectl --as` sends them, out of a request.
 *
 * @returns undefined when there are none
 * @throws ExecPathError ERR_BAD_REQUEST for groups, uid or extra without a user, and for headers that have no meaning:
 * acting as somebody else than was meant would be worse
 * @see kubernetes/apiserver pkg/endpoints/filters/impersonation.go
 */
export function takeImpersonation(request: IncomingMessage): Impersonation | undefined {
  const headers = new Map(
    Object.entries(request.headersDistinct).flatMap(([name, values]) =>
      name.startsWith(PREFIX) && values !== undefined ? [[name, values] as const] : [],
    ),
  );
  if (headers.size === 0) return undefined;
  for (const name of headers.keys()) replaceHeader(request, name, undefined);
  const [name = ''] = headers.get('impersonate-user') ?? [];
  if (name === '') throw badRequest(`requested ${[...headers.keys()].join(', ')} without impersonating a user`);
  const unknown = [...headers.keys()].find((header) => !knownHeaders.has(header) && !header.startsWith(EXTRA_PREFIX));
  if (unknown !== undefined) throw badRequest(`unknown impersonation header ${unknown}`);
  const groups = headers.get('impersonate-group') ?? [];
  const [uid = ''] = headers.get('impersonate-uid') ?? [];
  const extra = Object.fromEntries(
    [...headers].flatMap(([header, values]) =>
      header.startsWith(EXTRA_PREFIX) ? [[decode(header.slice(EXTRA_PREFIX.length)), values]] : [],
    ),
  );
  return {
    user: authenticatedUser(name, groups, uid, extra),
    permissions: [
      impersonate('', 'users', '', name),
      ...groups.map((group) => impersonate('', 'groups', '', group)),
      ...(uid === '' ? [] : [impersonate('authentication.k8s.io', 'uids', '', uid)]),
      ...Object.entries(extra).flatMap(([key, values]) =>
        values.map((value) => impersonate('authentication.k8s.io', 'userextras', key, value)),
      ),
    ],
  };
}

function decode(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

function impersonate(group: string, resource: string, subresource: string, name: string): ResourceRequest {
  return {
    kind: 'resource',
    verb: 'impersonate',
    group,
    version: 'v1',
    resource,
    subresource,
    namespace: '',
    name,
    fieldSelector: new FieldSelector([]),
  };
}
