import type { ServerResponse } from 'node:http';
import { badRequest, invalid, MAX_FAULTS, unsupportedField } from './api-error.ts';
import { duplicateFields } from './duplicate-fields.ts';
import { invalidPatch } from './sent-object.ts';

/** What becomes of fields that an object's kind does not have, or that come twice: `Strict` refuses them, the others drop them. */
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
  throw invalid({ group: 'meta.k8s.io', kind: options }, '', [
    // Nothing is one of them too.
    unsupportedField('fieldValidation', asked, ['', ...directives]),
  ]);
}

/** How the faults of fields are judged. */
interface Judgement {
  readonly directive: FieldValidation;
  readonly response: ServerResponse;
}

/**
 * Refuses an object with fields that are unknown or come twice, or warns of them, as the caller asked.
 *
 * @param json the text that the object was read from
 * @throws ExecPathError ERR_BAD_REQUEST with upstream's text
 */
export function judgeFields(
  { unknownFields, json }: { readonly unknownFields: readonly string[]; readonly json: string },
  { kind, version }: { readonly kind: string; readonly version: string },
  { directive, response }: Judgement,
): void {
  if (directive === 'Ignore') return;
  // What stands in an unknown field is not looked at, nor is it counted how often that comes.
  const unknown = unknownFields.map((text) => text.slice('unknown field "'.length, -1));
  const isKnown = (text: string): boolean => {
    const way = text.slice('duplicate field "'.length, -1);
    return !unknown.some((one) => way === one || way.startsWith(`${one}.`) || way.startsWith(`${one}[`));
  };
  const faults = [...duplicateTexts(json).filter(isKnown), ...unknownFields].slice(0, MAX_FAULTS);
  if (faults.length === 0) return;
  if (directive === 'Warn') warn(response, faults);
  else {
    const why = strictText(faults);
    throw badRequest(`${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}: ${why}`);
  }
}

/**
 * The same for what a patch has made.
 *
 * @param patch its text; `isList`: a JSON patch, whose operations upstream speaks of by itself
 * @throws ApiError ERR_INVALID
 */
export function judgePatchedFields(
  unknownFields: readonly string[],
  patch: { readonly json: string; readonly isList: boolean; readonly shown: unknown; readonly isStrategic: boolean },
  { directive, response }: Judgement,
): void {
  if (directive === 'Ignore') return;
  const duplicates = duplicateTexts(patch.json).map((text) => (patch.isList ? `json patch ${text}` : text));
  const faults = [...duplicates, ...unknownFields].slice(0, MAX_FAULTS);
  if (faults.length === 0) return;
  if (directive === 'Warn') warn(response, faults);
  else throw invalidPatch(patch.shown, strictText(faults), patch.isStrategic);
}

function duplicateTexts(json: string): readonly string[] {
  return duplicateFields(json).map((way) => `duplicate field ${JSON.stringify(way)}`);
}

function strictText(faults: readonly string[]): string {
  return `strict decoding error: ${faults.join(', ')}`;
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
