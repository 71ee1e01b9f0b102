import type { IncomingMessage } from 'node:http';
import { ExecPathError } from '../common/errors.ts';
import type { Authenticator, User } from '../identity/index.ts';
import { ApiError, forbidden } from './api-error.ts';
import { type Authorizer, attributesOf, refusalText } from './authorization.ts';
import { takeImpersonation } from './impersonation.ts';
import { parseTarget, type RequestInfo, type RequestTarget, requestInfoOf } from './request-info.ts';

export interface FilterOptions {
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
}

/** A request that may be made. */
export interface Admitted extends Pick<RequestTarget, 'query'> {
  readonly info: RequestInfo;
  readonly user: User;
}

/**
 * What every request passes, upgrade or not, in upstream's order: who asks, as whom, for what, and may they.
 *
 * @throws ExecPathError ERR_UNAUTHORIZED, ERR_FORBIDDEN, ERR_BAD_REQUEST
 */
export async function passFilters(request: IncomingMessage, options: FilterOptions): Promise<Admitted> {
  const target = parseTarget(request.url ?? '');
  const info = requestInfoOf(request.method ?? '', target);
  const caller = await options.authenticator.authenticate(request);
  const impersonation = takeImpersonation(request);
  for (const permission of impersonation?.permissions ?? [])
    await requireAllowed(caller, permission, options.authorizer);
  const user = impersonation?.user ?? caller;
  await requireAllowed(user, attributesOf(info), options.authorizer);
  return { info, query: target.query, user };
}

async function requireAllowed(user: User, attributes: RequestInfo, authorizer: Authorizer): Promise<void> {
  const { verdict, reason } = await authorizer.authorize(user, attributes);
  if (verdict === 'allow') return;
  if (attributes.kind === 'resource') {
    const resource = { group: attributes.group, plural: attributes.resource };
    throw forbidden(resource, attributes.name, refusalText(user, attributes, reason));
  }
  const text = `forbidden: User "${user.name}" cannot ${attributes.verb} path "${attributes.path}"`;
  throw new ApiError('ERR_FORBIDDEN', reason === '' ? text : `${text}: ${reason}`, {});
}

/** The answer to everything once the server has begun to stop. */
export function stopping(): ExecPathError {
  return new ExecPathError('ERR_UNAVAILABLE', 'the server is stopping', { hop: 'apiserver' });
}
