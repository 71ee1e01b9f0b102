import type { JsonObject } from '../common/json-object.ts';
import { type FieldError, goTexts, invalid, invalidField } from './api-error.ts';
import { textAt, valueAt } from './api-object.ts';
import type { DeleteOptions } from './deletion.ts';
import { queryInteger } from './query-integer.ts';
import { readSentAs } from './sent-object.ts';

/** A deletion as it was asked for. */
export type AskedDeletion = DeleteOptions & { readonly dryRun: boolean };

const propagationPolicies = ['Foreground', 'Background', 'Orphan'];

/**
 * True when the query asks for a dry run.
 *
 * @param options how upstream calls the query's options: `CreateOptions`
 * @throws ApiError ERR_INVALID for anything but `All`
 */
export function isDryRun(query: URLSearchParams, options: string): boolean {
  const dryRun = query.getAll('dryRun');
  const errors = dryRunErrors(dryRun);
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: options }, '', errors);
  return dryRun.length > 0;
}

/**
 * Reads what a deletion is sent, and checks it before anything is deleted.
 *
 * @throws ExecPathError ERR_BAD_REQUEST for a body that is none (upstream says 500 there, but the fault is the caller's),
 * ApiError ERR_INVALID for values that there are not
 */
export function readDeleteOptions(body: JsonObject | undefined, query: URLSearchParams): AskedDeletion {
  return deleteOptionsOf(body === undefined ? {} : readSentAs(body, 'DeleteOptions').object, query);
}

/**
 * The same for options that have been read as their type: what they leave open the query says.
 *
 * @throws ExecPathError ERR_BAD_REQUEST, ApiError ERR_INVALID
 */
export function deleteOptionsOf(sent: JsonObject, query: URLSearchParams): AskedDeletion {
  const dryRun = [...((sent['dryRun'] ?? []) as readonly string[]), ...query.getAll('dryRun')];
  const policy = sent['propagationPolicy'] ?? query.get('propagationPolicy') ?? undefined;
  const errors = [...policyErrors(policy, sent['orphanDependents']), ...dryRunErrors(dryRun)];
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', errors);
  const grace = sent['gracePeriodSeconds'] ?? queryInteger(query, 'gracePeriodSeconds');
  return {
    ...(typeof grace === 'number' ? { gracePeriodSeconds: grace } : {}),
    ...(sent['preconditions'] === undefined ? {} : { preconditions: preconditionsOf(sent) }),
    dryRun: dryRun.length > 0,
  };
}

function dryRunErrors(dryRun: readonly string[]): FieldError[] {
  if (dryRun.every((value) => value === 'All')) return [];
  const message = `Unsupported value: ${goTexts(dryRun)}: supported values: "All"`;
  return [{ field: 'dryRun', reason: 'FieldValueNotSupported', message }];
}

function policyErrors(policy: unknown, orphanDependents: unknown): FieldError[] {
  const field = 'propagationPolicy';
  if (policy === undefined) return [];
  if (orphanDependents !== undefined) {
    return [invalidField(field, policy, 'orphanDependents and deletionPropagation cannot be both set')];
  }
  if (propagationPolicies.some((one) => one === policy)) return [];
  // In upstream's order, and with the word that it has for none.
  const supported = [...propagationPolicies, 'nil'].map((one) => JSON.stringify(one)).join(', ');
  const message = `Unsupported value: ${JSON.stringify(policy)}: supported values: ${supported}`;
  return [{ field, reason: 'FieldValueNotSupported', message }];
}

function preconditionsOf(sent: JsonObject): NonNullable<DeleteOptions['preconditions']> {
  const isGiven = (name: string): boolean => valueAt(sent, ['preconditions', name]) !== undefined;
  return {
    ...(isGiven('uid') ? { uid: textAt(sent, ['preconditions', 'uid']) } : {}),
    ...(isGiven('resourceVersion') ? { resourceVersion: textAt(sent, ['preconditions', 'resourceVersion']) } : {}),
  };
}
