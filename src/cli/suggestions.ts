import type { ArgumentRequest, Suggestions } from './command.ts';

/** Completion of types, and then of the names of the type on the line. */
export async function suggestObjects(request: ArgumentRequest): Promise<Suggestions> {
  const { suggestTypesAndNames } = await import('./suggest-objects.ts');
  return suggestTypesAndNames(request);
}
