import { ExecPathError } from '../../src/common/errors.ts';

/** What `work` fails with. @throws Error when it does not fail, or with something raised by accident */
export async function failureOf(work: Promise<unknown>): Promise<ExecPathError> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (cause: unknown) => cause,
  );
  if (error instanceof ExecPathError) return error;
  throw error;
}
