import { isJsonObject } from '../../common/json-object.ts';
import { type KubeObject, type ServiceAccount, sortedKeys } from '../../kubeapi/index.ts';
import { sprint } from '../jsonpath/go-text.ts';
import type { Description } from './description.ts';

export function describeServiceAccount(text: Description, account: ServiceAccount): void {
  const { metadata, imagePullSecrets = [], secrets = [] } = account;
  text.line(0, 'Name:', metadata.name);
  text.line(0, 'Namespace:', metadata.namespace ?? '');
  text.labels('Labels', metadata.labels);
  text.annotations(metadata.annotations);
  const names = (references: readonly { readonly name?: string }[]): string[] =>
    references.map(({ name = '' }) => name);
  text.entries('Image pull secrets', names(imagePullSecrets));
  text.entries('Mountable secrets', names(secrets));
  text.entries('Tokens', []);
}

const SKIPPED = new Set([
  '.metadata.managedFields',
  '.metadata.name',
  '.metadata.namespace',
  '.metadata.labels',
  '.metadata.annotations',
]);

/** An object of a kind that nobody knows more of: all of its fields. */
export function describeFields(text: Description, object: KubeObject): void {
  const { metadata } = object;
  text.line(0, 'Name:', metadata.name);
  text.line(0, 'Namespace:', metadata.namespace ?? '');
  text.labels('Labels', metadata.labels);
  text.annotations(metadata.annotations);
  describeMap(text, { ...object }, { level: 0, path: '' });
}

function describeMap(
  text: Description,
  map: Readonly<Record<string, unknown>>,
  { level, path }: { readonly level: number; readonly path: string },
): void {
  for (const key of sortedKeys(map)) {
    const value = map[key];
    const inner = `${path}.${key}`;
    if (SKIPPED.has(inner)) continue;
    const title = `${labelOf(key)}:`;
    if (Array.isArray(value)) {
      text.line(level, title);
      for (const item of value) {
        if (isJsonObject(item)) describeMap(text, item, { level: level + 1, path: inner });
        else text.line(level + 1, sprint(item));
      }
    } else if (isJsonObject(value)) {
      text.line(level, title);
      describeMap(text, value, { level: level + 1, path: inner });
    } else text.line(level, title, sprint(value));
  }
}

/** `lastTimestamp` is `Last Timestamp`, `apiVersion` is `API Version`. */
function labelOf(key: string): string {
  if (!/^[\p{L}-]+$/u.test(key)) return key;
  const words = key.match(/\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+|-/gu) ?? [key];
  return words
    .map((word) =>
      ['API', 'URL', 'UID', 'OSB', 'GUID'].includes(word.toUpperCase())
        ? word.toUpperCase()
        : word.charAt(0).toUpperCase() + word.slice(1),
    )
    .join(' ');
}
