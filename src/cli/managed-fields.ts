import type { KubeObject } from '../kubeapi/index.ts';
import { boolFlag } from './flag.ts';

export const managedFieldsFlag = {
  'show-managed-fields': boolFlag({ help: 'keep the managedFields when printing objects in JSON or YAML format' }),
} as const;

/** The object without the server's notes of who wrote which field: they are longer than all the rest. */
export function withoutManagedFields<T extends KubeObject>(object: T): T {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
