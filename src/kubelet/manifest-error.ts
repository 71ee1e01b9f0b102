import { ExecPathError } from '../common/errors.ts';

/** What a pod asks for and this kubelet does not give. */
export function manifestError(message: string, cause?: unknown): ExecPathError {
  return new ExecPathError('ERR_MANIFEST', message, { hop: 'kubelet', ...(cause === undefined ? {} : { cause }) });
}
