#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isatty } from 'node:tty';
import { endDescendants } from './end-descendants.ts';
import type { Io } from './io.ts';
import { runCli } from './run-cli.ts';

/** The one place that knows the process: everything else gets an {@link Io}. */
const undos = new Set<() => void>();

const io: Io = {
  inIsTerminal: isatty(0),
  input: () => process.stdin,
  out: process.stdout,
  err: process.stderr,
  env: process.env,
  home: homedir(),
  command: [process.execPath, ...process.execArgv, ...process.argv.slice(1)],
  version: versionOfPackage(),
  onSignal: (names, listener) => {
    for (const name of names) process.on(name, listener);
    return () => {
      for (const name of names) process.off(name, listener);
    };
  },
  atExit: (undo) => {
    undos.add(undo);
    return () => undos.delete(undo);
  },
  forceExit: (code) => {
    endDescendants();
    process.exit(code);
  },
};

function versionOfPackage(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function undoAll(): void {
  for (const undo of undos) undo();
  undos.clear();
}

/** Resolves when everything written to `stream` has left the process, or its reader is gone. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve();
    else stream.once('close', resolve).write('', () => resolve());
  });
}

/** Nobody can stop cleanly after this: what was started is ended without asking. */
function reportDefect(thrown: unknown): void {
  undoAll();
  endDescendants();
  process.stderr.write(
    `error: this is a defect of podwire, please report it: ${thrown instanceof Error ? thrown.stack : String(thrown)}\n`,
  );
  process.exit(125);
}

process.on('exit', undoAll).on('uncaughtException', reportDefect).on('unhandledRejection', reportDefect);
// A reader that left (a closed pipe) is no defect: what it means is each command's to say.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

const code = await runCli(process.argv.slice(2), io);
undoAll();
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
// Not by an empty event loop: a terminal or pipe on stdin that is still open would keep the process for ever.
process.exit(code);
