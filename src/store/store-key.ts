import { ExecPathError } from '../common/errors.ts';

/** The largest value: what etcd takes in one request, key included, less what surrounds them. */
export const MAX_VALUE_BYTES = 1.5 * 1024 * 1024 - 4096;

/** The longest key. Kubernetes' names make at most about 600; the embedded store's library takes 1978. */
export const MAX_KEY_BYTES = 1024;

/** @throws ExecPathError ERR_BODY_TOO_LARGE, ERR_INTERNAL for a key that no object can have */
export function checkWrite(key: string, value = ''): void {
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new ExecPathError('ERR_INTERNAL', `a key has at most ${MAX_KEY_BYTES} bytes: ${key.slice(0, 80)}…`);
  }
  // Most values are so short that they need not be counted.
  if (value.length * 3 <= MAX_VALUE_BYTES) return;
  const bytes = Buffer.byteLength(value);
  if (bytes <= MAX_VALUE_BYTES) return;
  const message = `${key} would have ${bytes} bytes: the store takes ${MAX_VALUE_BYTES}, as etcd does`;
  throw new ExecPathError('ERR_BODY_TOO_LARGE', message);
}
