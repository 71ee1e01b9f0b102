import { isJsonObject } from '../common/json-object.ts';

/**
 * Applies a JSON merge patch: objects are merged, `null` removes a field, everything else replaces.
 *
 * @see RFC 7396
 */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return patch;
  const merged = new Map(Object.entries(isJsonObject(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, applyMergePatch(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}
