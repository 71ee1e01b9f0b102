import type { ResourceType } from '../kubeapi/index.ts';
import type { FieldError } from './api-error.ts';
import type { ApiObject } from './api-object.ts';
import type { SelectableFields } from './field-selector.ts';

/** A subresource as discovery lists it; its route stands elsewhere. */
export interface Subresource {
  readonly name: string;
  readonly kind: string;
  /** Default: the group and version of its resource. */
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
}

/**
 * One kind of object that the registry holds, and what is particular about it. Everything else is the same for all.
 *
 * The functions never change what they are given.
 */
export interface Resource extends ResourceType<unknown> {
  readonly singular: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  /** What may be asked for; default {@link objectVerbs}. */
  readonly verbs?: readonly string[];
  /** Discovery and OpenAPI do not speak of it. */
  readonly isUnlisted?: boolean;
  /** Names must be a DNS label (63 characters, no dots) instead of a DNS subdomain (253). */
  readonly isNamedByLabel?: boolean;
  /** `status` is written through the subresource `/status` alone, and `/status` writes nothing else but metadata. */
  readonly hasStatus?: boolean;
  /** `spec` is the server's alone. */
  readonly keepsSpec?: boolean;
  readonly subresources?: readonly Subresource[];
  /** PUT of a name that does not exist creates it. */
  readonly createsOnUpdate?: boolean;
  /** Objects disappear so many ms after their last write. */
  readonly ttlMs?: number;
  /** Fields of field selectors beside `metadata.name` and `metadata.namespace`. */
  readonly selectableFields?: (object: ApiObject) => SelectableFields;
  /** Fills in what is left open, in every object that is written. */
  readonly applyDefaults?: (object: ApiObject) => ApiObject;
  /** What only the server says of a new object. */
  readonly prepareCreate?: (object: ApiObject) => ApiObject;
  /** Puts back what a write of the status leaves alone beside the spec. */
  readonly prepareStatus?: (sent: ApiObject, current: ApiObject) => ApiObject;
  /** What holds of a whole object: of new ones, and of those that are written themselves. */
  readonly validate?: (object: ApiObject) => readonly FieldError[];
  /** The part of it that is about annotations, which writes of a subresource may change too. */
  readonly validateAnnotations?: (object: ApiObject) => readonly FieldError[];
  /** What holds for new objects alone. */
  readonly validateNew?: (object: ApiObject) => readonly FieldError[];
  readonly validateUpdate?: (next: ApiObject, current: ApiObject) => readonly FieldError[];
  /** What holds when ephemeral containers are added. */
  readonly validateEphemeral?: (next: ApiObject, current: ApiObject) => readonly FieldError[];
  /** What holds for writes of a subresource too. */
  readonly validateAnyUpdate?: (next: ApiObject, current: ApiObject) => readonly FieldError[];
  /** Somebody has yet to let go of it, beside its finalizers: a deletion waits. */
  readonly isHeld?: (object: ApiObject) => boolean;
  /** What a deletion that waits changes at once. */
  readonly prepareDeletion?: (object: ApiObject) => ApiObject;
  /** Seconds that a deletion gives somebody else to do its part; absent or 0: the object goes at once. */
  readonly deletionGraceSeconds?: (object: ApiObject, asked: number | undefined) => number;
}

/** The verbs of a resource that says nothing else. */
export const objectVerbs: readonly string[] = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
];
