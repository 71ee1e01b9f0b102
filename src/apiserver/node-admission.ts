import { nodeNameOf, type User } from '../identity/index.ts';
import { MIRROR_ANNOTATION } from '../kubeapi/index.ts';
import { forbidden } from './api-error.ts';
import { type ApiObject, isSameJson, textAt } from './api-object.ts';
import type { UpdateScope } from './object-rules.ts';
import type { Resource } from './resource.ts';

/** What is about to be written. */
export interface Write {
  readonly resource: Resource;
  readonly next: ApiObject;
  /** Absent for a new object. */
  readonly current?: ApiObject;
  readonly scope?: UpdateScope;
}

/**
 * Checks what a kubelet writes, where the path alone does not say it: its own node and lease, mirrors of static pods on
 * itself, and no labels of pods. Other users pass.
 *
 * @throws ApiError ERR_FORBIDDEN
 * @see kubernetes plugin/pkg/admission/noderestriction
 */
export function admitFromNode(user: User, { resource, next, current, scope }: Write): void {
  const node = nodeNameOf(user);
  if (node === undefined) return;
  const { name } = next.metadata;
  const refuse = (why: string): Error => forbidden(resource, name, why);
  switch (resource.plural) {
    case 'nodes':
    case 'leases':
    case 'csinodes':
      if (name !== node) throw refuse(`node "${node}" is not allowed to write ${resource.singular} "${name}"`);
      return;
    case 'pods':
      if (current === undefined) {
        if (next.metadata.annotations?.[MIRROR_ANNOTATION] === undefined) {
          throw refuse(
            `pod does not have "${MIRROR_ANNOTATION}" annotation, node "${node}" can only create mirror pods`,
          );
        }
        if (textAt(next, ['spec', 'nodeName']) !== node) {
          throw refuse(`node "${node}" can only create pods with spec.nodeName set to itself`);
        }
        if (!isOwnedBy(next, node)) {
          throw refuse(`node "${node}" can only create pods with an owner reference set to itself`);
        }
      } else if (scope === 'status' && !isSameJson(next.metadata.labels ?? {}, current.metadata.labels ?? {})) {
        throw refuse(`node "${node}" cannot update labels through pod status`);
      }
      return;
    default:
  }
}

/** Whoever deletes a node deletes what it shows. */
function isOwnedBy({ metadata }: ApiObject, node: string): boolean {
  const [owner, ...others] = metadata.ownerReferences ?? [];
  return others.length === 0 && owner?.apiVersion === 'v1' && owner.kind === 'Node' && owner.name === node;
}
