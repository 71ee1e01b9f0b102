/** The environment variable that tells which session a process belongs to. Children inherit it. */
export const SESSION_VARIABLE = 'PODWIRE_SESSION';

/** Its values in an environment as /proc has it; more than one where a program has set it again. */
export function* sessionsIn(environment: Buffer): Generator<string, void, undefined> {
  const text = `${SESSION_VARIABLE}=`;
  for (let at = environment.indexOf(text); at !== -1; at = environment.indexOf(text, at + 1)) {
    if (at > 0 && environment[at - 1] !== 0) continue;
    const end = environment.indexOf(0, at);
    yield environment.toString('latin1', at + text.length, end === -1 ? environment.length : end);
  }
}
