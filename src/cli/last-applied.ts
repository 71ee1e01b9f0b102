import { isJsonObject, type JsonObject } from '../common/json-object.ts';
import { formatJson, type KubeObject } from '../kubeapi/index.ts';

/** Where the last manifest is kept, so that what left it can be removed: kubectl's own annotation. */
export const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** The object with itself in the annotation, byte for byte as kubectl writes it. */
export function withLastApplied<T extends KubeObject>(object: T): T {
  const { [LAST_APPLIED]: _, ...annotations } = object.metadata.annotations ?? {};
  const plain = { ...object, metadata: { ...object.metadata, annotations } };
  const kept = { ...annotations, [LAST_APPLIED]: `${formatJson(plain)}\n` };
  return { ...object, metadata: { ...object.metadata, annotations: kept } };
}

/** The manifest that was applied last. @returns undefined when none was, and for a text that is no object */
export function lastApplied({ metadata }: KubeObject): JsonObject | undefined {
  try {
    const manifest: unknown = JSON.parse(metadata.annotations?.[LAST_APPLIED] ?? '');
    return isJsonObject(manifest) ? manifest : undefined;
  } catch {
    return undefined;
  }
}
