import { conflict } from './api-error.ts';
import type { ApiObject } from './api-object.ts';
import { apiTime } from './object-rules.ts';
import type { Resource } from './resource.ts';

/** metav1.DeleteOptions, the part that decides something here. */
export interface DeleteOptions {
  /** 0: at once. Absent: what the object or its kind says. */
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

export interface Deletion {
  /** False: it is marked with `deletionTimestamp` and stays until others have done their part. */
  readonly isGone: boolean;
  /** The object as it was last, or as it is now. */
  readonly object: ApiObject;
}

/**
 * What a deletion does to an object: the same object again when it changes nothing.
 *
 * A grace period that runs can be shortened, not lengthened.
 *
 * @throws ApiError ERR_CONFLICT when a precondition does not hold
 */
export function decideDeletion(resource: Resource, current: ApiObject, options: DeleteOptions): Deletion {
  checkPreconditions(resource, current, options);
  const { metadata } = current;
  const asked = options.gracePeriodSeconds;
  const grace = resource.deletionGraceSeconds?.(current, asked) ?? 0;
  const isHeld = resource.isHeld?.(current) === true;
  if (grace === 0 && !isHeld && (metadata.finalizers ?? []).length === 0) return { isGone: true, object: current };
  const running = metadata.deletionTimestamp ? (metadata.deletionGracePeriodSeconds ?? 0) : undefined;
  if (running !== undefined && grace >= running) return { isGone: false, object: current };
  const began = running === undefined ? Date.now() : Date.parse(metadata.deletionTimestamp ?? '') - running * 1000;
  const deletionTimestamp = apiTime(new Date(began + grace * 1000));
  const marked = { ...current, metadata: { ...metadata, deletionTimestamp, deletionGracePeriodSeconds: grace } };
  return { isGone: false, object: resource.prepareDeletion?.(marked) ?? marked };
}

/** An object that is being deleted goes when nobody holds it any more. */
export function isReadyToGo(resource: Resource, object: ApiObject): boolean {
  const { metadata } = object;
  return (
    Boolean(metadata.deletionTimestamp) &&
    (metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
    (metadata.finalizers ?? []).length === 0 &&
    resource.isHeld?.(object) !== true
  );
}

function checkPreconditions(resource: Resource, { metadata }: ApiObject, { preconditions }: DeleteOptions): void {
  const { uid, resourceVersion } = preconditions ?? {};
  const wanted = [
    { what: 'UID', asked: uid, found: metadata.uid, cause: 'deleted and then recreated' },
    { what: 'ResourceVersion', asked: resourceVersion, found: metadata.resourceVersion, cause: 'modified' },
  ];
  for (const { what, asked, found = '', cause } of wanted) {
    if (asked === undefined || asked === found) continue;
    // Upstream's namespaces look by themselves, and say it otherwise.
    if (resource.kind === 'Namespace') {
      const why = `Precondition failed: ${what} in precondition: ${asked}, ${what} in object meta: ${found}`;
      throw conflict(resource, metadata.name, why);
    }
    const why =
      `the ${what} in the precondition (${asked}) does not match the ${what} in record (${found}). ` +
      `The object might have been ${cause}`;
    throw conflict({ group: resource.group, plural: resource.kind }, metadata.name, why);
  }
}
