import { type FieldError, invalidField } from '../api-error.ts';

/** Paths within a volume stay there. @see kubernetes pkg/apis/core/validation, validateLocalDescendingPath */
export function descendingPathErrors(field: string, path: string): FieldError[] {
  return [
    ...(path.startsWith('/') ? [invalidField(field, path, 'must be a relative path')] : []),
    ...(path.split('/').includes('..') ? [invalidField(field, path, "must not contain '..'")] : []),
  ];
}

/** Those of files that the kubelet writes: it keeps names with two dots in front for itself. */
export function writtenPathErrors(field: string, path: string): FieldError[] {
  const errors = descendingPathErrors(field, path);
  if (errors.some(({ message }) => message.endsWith("'..'")) || !path.startsWith('..')) return errors;
  return [...errors, invalidField(field, path, "must not start with '..'")];
}
