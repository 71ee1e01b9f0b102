import type { ServerResponse } from 'node:http';
import { badRequest, invalid, unsupportedField } from './api-error.ts';
import { invalidPatch } from './sent-object.ts';

/** What becomes of fields that an object's kind does not have: `Strict` refuses them, the others drop them. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

const directives: readonly FieldValidation[] = ['Ignore', 'Strict', 'Warn'];

/** No more goes into the headers of one answer, in characters. */
const MAX_WARNING_CHARS = 4096;

/**
 * The query's `fieldValidation`; `Warn` where it says nothing.
 *
 * @param options how upstream calls the query's options: `CreateOptions`
 * @throws ApiError ERR_INVALID
 */
export function fieldValidationOf(query: URLSearchParams, options: string): FieldValidation {
  const asked = query.get('fieldValidation') ?? '';
  if (asked === '') return 'Warn';
  const found = directives.find((one) => one === asked);
  if (found !== undefined) return found;
  throw invalid({ group: 'meta.k8s.io', kind: options }, '', [unsupportedField('fieldValidation', asked, directives)]);
}

/**
 * Refuses an object with unknown fields, or warns of them, as the caller asked.
 *
 * @throws ExecPathError ERR_BAD_REQUEST with upstream's text
 */
export function judgeUnknownFields(
  unknownFields: readonly string[],
  { kind, version }: { readonly kind: string; readonly version: string },
  { directive, response }: { readonly directive: FieldValidation; readonly response: ServerResponse },
): void {
  if (unknownFields.length === 0 || directive === 'Ignore') return;
  if (directive === 'Warn') warn(response, unknownFields);
  else {
    const why = strictText(unknownFields);
    throw badRequest(`${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}: ${why}`);
  }
}

/** The same for what a patch has made. @throws ApiError ERR_INVALID */
export function judgePatchedFields(
  unknownFields: readonly string[],
  patch: { readonly shown: unknown; readonly isStrategic: boolean },
  { directive, response }: { readonly directive: FieldValidation; readonly response: ServerResponse },
): void {
  if (unknownFields.length === 0 || directive === 'Ignore') return;
  if (directive === 'Warn') warn(response, unknownFields);
  else throw invalidPatch(patch.shown, strictText(unknownFields), patch.isStrategic);
}

function strictText(unknownFields: readonly string[]): string {
  return `strict decoding error: ${unknownFields.join(', ')}`;
}

/** Puts texts into headers that kubectl prints as `Warning: TEXT`. */
export function warn(response: ServerResponse, texts: readonly string[]): void {
  if (response.headersSent) return;
  let chars = 0;
  const warnings = texts
    // A header holds printable ASCII alone; quotes and backslashes stand escaped within the quoted text.
    .map((text) => `299 - "${text.replaceAll(/[\\"]/g, String.raw`\$&`).replaceAll(/[^\x20-\x7e]/g, '?')}"`)
    .filter((text) => (chars += text.length) <= MAX_WARNING_CHARS);
  const before = response.getHeader('Warning');
  const earlier = Array.isArray(before) ? before : [];
  response.setHeader('Warning', [...earlier, ...warnings]);
}
