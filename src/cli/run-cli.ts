import { constants } from 'node:os';
import { paintFor } from './colours.ts';
import type { Command } from './command.ts';
import { commandIndex } from './command-index.ts';
import { type CommandEntry, commandEntries, commandGroups, findCommand } from './commands.ts';
import { commonFlags } from './common-flags.ts';
import { failureText } from './failure-text.ts';
import { commandHelp, overviewHelp } from './help-text.ts';
import type { Io } from './io.ts';
import { nearest } from './nearest.ts';
import { OutputFailure } from './output-failure.ts';
import { UsageError } from './usage-error.ts';

/** Of a command that was told of a broken stdout as of a reader that left. */
const GONE_READER_CODE = 128 + constants.signals.SIGPIPE;

/**
 * Runs one command line.
 *
 * @param argv without node and script
 * @returns the exit code; never rejects
 */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  using output = new OutputFailure(io.out);
  const code = await runLine(argv, io);
  const failure = await output.text();
  if (failure === undefined || (code !== 0 && code !== GONE_READER_CODE)) return code;
  io.err.write(`error: stdout cannot be written: ${failure}\n`);
  return (await commandOf(argv)?.load())?.failureCode ?? 1;
}

function commandOf(argv: readonly string[]): CommandEntry | undefined {
  return findCommand(argv[commandIndex(argv)] ?? '');
}

async function runLine(argv: readonly string[], io: Io): Promise<number> {
  const at = commandIndex(argv);
  const name = argv[at];
  const rest = argv.filter((_word, index) => index !== at);
  if (name === '__complete' || name === '__completeNoDesc') {
    const { completeWords } = await import('./complete-words.ts');
    return completeWords(rest, io, name === '__complete');
  }
  if (name === undefined) return withoutCommand(argv, io);
  if (name === 'help') return help(rest, io);
  const entry = findCommand(name);
  if (entry === undefined) return unknownCommand(name, io);
  return runCommand(entry, rest, io);
}

async function withoutCommand(argv: readonly string[], io: Io): Promise<number> {
  if (argv.includes('--version')) {
    io.out.write(`podwire ${io.version}\n`);
    return 0;
  }
  const unknown = argv.find((word) => word.startsWith('-') && !['-h', '--help'].includes(word));
  if (unknown !== undefined) {
    io.err.write(`error: a command is missing, there is only ${unknown}\nSee 'podwire --help' for usage.\n`);
    return 1;
  }
  io.out.write(overviewHelp(commandGroups, paintFor(io.out, io)));
  return 0;
}

async function help(words: readonly string[], io: Io): Promise<number> {
  const [name] = words.filter((word) => !word.startsWith('-'));
  if (name === undefined) return withoutCommand([], io);
  const entry = findCommand(name);
  if (entry === undefined) return unknownCommand(name, io);
  io.out.write(commandHelp(await entry.load(), commonFlags, paintFor(io.out, io)));
  return 0;
}

function unknownCommand(name: string, io: Io): number {
  const meant = nearest(
    name,
    commandEntries.map((entry) => entry.name),
  );
  const hint = meant.length === 0 ? '' : `\nDid you mean this?\n${meant.map((word) => `\t${word}\n`).join('')}`;
  io.err.write(
    `error: unknown command ${JSON.stringify(name)} for "podwire"\n${hint}See 'podwire --help' for usage.\n`,
  );
  return 1;
}

async function runCommand(entry: CommandEntry, argv: readonly string[], io: Io): Promise<number> {
  let command: Command | undefined;
  let namespace: string | undefined;
  try {
    command = await entry.load();
    const prepared = command.prepare(argv, io);
    if (prepared.kind === 'help') return await help([entry.name], io);
    namespace = prepared.namespace;
    const { logDiagnostics } = await import('./diagnostics-log.ts');
    logDiagnostics(prepared.verbosity, io.err);
    return await prepared.run();
  } catch (thrown) {
    if (thrown instanceof UsageError) {
      io.err.write(`error: ${thrown.message}\nSee 'podwire ${entry.name} --help' for usage.\n`);
    } else io.err.write(failureText(thrown, { namespace }));
    return command?.failureCode ?? 1;
  }
}
