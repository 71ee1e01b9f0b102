import { unknownPath } from './api-error.ts';
import type { Exchange } from './exchange.ts';
import type { ObjectRoutes } from './object-routes.ts';
import type { PathRoutes } from './path-routes.ts';
import type { PodLogs } from './pod-logs.ts';
import type { Registry } from './registry.ts';
import { reviewKinds } from './review-kinds.ts';
import type { ReviewRoutes } from './review-routes.ts';

export interface RouteTable {
  readonly registry: Registry;
  readonly paths: PathRoutes;
  readonly objects: ObjectRoutes;
  readonly reviews: ReviewRoutes;
  readonly logs: PodLogs;
}

/**
 * Sends a request that may be made to what answers it.
 *
 * @throws what becomes its Status: ERR_NOT_FOUND for a path that leads nowhere
 */
export async function route(table: RouteTable, exchange: Exchange): Promise<void> {
  const { info } = exchange;
  if (info.kind === 'path') {
    table.paths.serve(exchange, info.path);
    return;
  }
  const isMeant = (one: { readonly group: string; readonly version: string; readonly plural: string }): boolean =>
    one.group === info.group && one.version === info.version && one.plural === info.resource;
  const resource = table.registry.resources.find(isMeant);
  if (resource !== undefined) {
    const isLog = info.resource === 'pods' && info.subresource === 'log' && info.namespace !== '';
    if (isLog) await table.logs.serve(exchange, info);
    else await table.objects.serve(exchange, info, resource);
    return;
  }
  const review = reviewKinds.find(isMeant);
  if (review === undefined) throw unknownPath();
  await table.reviews.serve(exchange, info, review);
}
