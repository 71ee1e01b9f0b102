import type { IncomingMessage } from 'node:http';
import type { User } from '../identity/index.ts';
import type { Route } from './routes.ts';
import { nodeSubresources } from './routes.ts';

/** @throws ExecPathError ERR_UNAUTHORIZED for somebody who did not say who it is */
export type Authenticate = (request: IncomingMessage) => Promise<Pick<User, 'name' | 'groups'>>;

/** What is asked of the node; one of the subresources suffices. */
export interface NodeAccess {
  readonly verb: 'get' | 'create' | 'update' | 'patch' | 'delete' | '';
  readonly subresources: readonly string[];
}

export type Authorize = (user: Pick<User, 'name' | 'groups'>, access: NodeAccess) => Promise<boolean>;

const verbs: Readonly<Record<string, NodeAccess['verb']>> = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Streams need `create` whatever the method: a GET that runs a command is no reading. */
export function accessOf(route: Route, method: string): NodeAccess {
  const streams =
    route.kind === 'exec' || route.kind === 'attach' || route.kind === 'portForward' || route.kind === 'run';
  return { verb: streams ? 'create' : (verbs[method] ?? ''), subresources: nodeSubresources(route) };
}

/** The 403's text. */
export function forbiddenText(user: Pick<User, 'name'>, access: NodeAccess): string {
  return `Forbidden (user=${user.name}, verb=${access.verb}, resource=nodes, subresource(s)=[${access.subresources.join(' ')}])`;
}
