export type { Io, LocalInput, LocalOutput } from './io.ts';
export { runCli } from './run-cli.ts';
