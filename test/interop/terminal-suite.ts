import { expect } from 'vitest';
import { Terminal, type TerminalOptions } from '../support/terminal.ts';
import { type Behaviour, type Exceptions, type ExecTarget, interopSuite } from './exec-suite.ts';

/** The prompt of a BusyBox shell as root, in `/`. */
const PROMPT = '/ #';
const START_MS = 20_000;

/** What a person at a terminal must see of `exec -it` through any hops. Needs tmux, TEST_IMAGE and a client with a terminal. */
export function terminalInterop(name: string, makeTarget: () => Promise<ExecTarget>, except: Exceptions = {}): void {
  interopSuite(`exec -it: ${name}`, makeTarget, except, (behaviour) => {
    shell(behaviour);
    screen(behaviour);
  });
}

function shell(behaviour: Behaviour): void {
  behaviour('shows a prompt, edits a line and passes the exit code of the shell on', async (target) => {
    await using terminal = await open(target, ['sh']);
    await terminal.waitFor(PROMPT, START_MS);
    await terminal.type('echo hellx');
    await terminal.press('BSpace');
    await terminal.type('o ☃\n');
    await terminal.waitFor('\nhello ☃\n');
    await terminal.type('exit 7\n');
    expect(await terminal.exitCode()).toBe(7);
  });

  behaviour('interrupts the command in front with ctrl-C, not the session', async (target) => {
    await using terminal = await open(target, ['sh']);
    await terminal.waitFor(PROMPT, START_MS);
    await terminal.type('echo sleep""ing; sleep 1000\n');
    await terminal.waitFor('\nsleeping\n');
    await terminal.press('C-c');
    await terminal.waitFor(/sleeping\n\^C\n?\/ #/);
    await terminal.type('echo code $?\n');
    await terminal.waitFor('\ncode 130\n');
    await terminal.type('exit\n');
    expect(await terminal.exitCode()).toBe(0);
  });

  behaviour('ends input with ctrl-D: first that of cat, then that of the shell', async (target) => {
    await using terminal = await open(target, ['sh']);
    await terminal.waitFor(PROMPT, START_MS);
    // What is typed while the shell still edits its line would reach cat with its CR untranslated.
    await terminal.type('echo ca""t begins; cat; echo ca""t ended\n');
    await terminal.waitFor('\ncat begins\n');
    await terminal.type('echoed\n');
    await terminal.waitFor('echoed\nechoed\n');
    await terminal.press('C-d');
    await terminal.waitFor('\ncat ended\n');
    await terminal.press('C-d');
    expect(await terminal.exitCode()).toBe(0);
  });

  behaviour('gives the local terminal back as it was', async (target) => {
    const { argv, env } = commandLine(target, ['sh', '-c', 'exit 3']);
    const script = 'before=$(stty -g); "$@"; echo code $?; test "$before" = "$(stty -g)"';
    await using terminal = await Terminal.start(['sh', '-c', script, 'sh', ...argv], { env });
    expect(await terminal.exitCode(START_MS)).toBe(0);
    await terminal.waitFor('code 3');
  });
}

function screen(behaviour: Behaviour): void {
  behaviour('has the size of the local terminal, and follows it', async (target) => {
    const script = `until [ "$(stty size)" = "33 91" ]; do sleep 0.1; done; echo right size
      trap 'echo changed to $(stty size)' WINCH; echo waiting; while :; do sleep 0.1; done`;
    await using terminal = await open(target, ['sh', '-c', script], { columns: 91, rows: 33 });
    await terminal.waitFor('right size\nwaiting', START_MS);
    await terminal.resize(120, 40);
    await terminal.waitFor('changed to 40 120');
    await terminal.resize(60, 10);
    await terminal.waitFor('changed to 10 60');
  });

  behaviour('draws vi and takes its keys', async (target) => {
    await using terminal = await open(target, ['sh']);
    await terminal.waitFor(PROMPT, START_MS);
    await terminal.type('rm -f /tmp/note; vi /tmp/note\n');
    await terminal.waitFor(/~\n~\n~\n.*note/);
    await terminal.type('ifirst line\nsecond');
    await endInsert(terminal);
    await terminal.type('k0Dinew');
    await endInsert(terminal);
    await terminal.type(':wq\n');
    await terminal.waitFor(PROMPT);
    await terminal.type('clear; cat /tmp/note; echo en""d\n');
    await terminal.waitFor('new\nsecond\nend\n');
    await terminal.type('exit\n');
    expect(await terminal.exitCode()).toBe(0);
  });

  behaviour('redraws top until q', async (target) => {
    await using terminal = await open(target, ['top', '-d', '1']);
    await terminal.waitFor(/Mem: .*\nCPU: /, START_MS);
    await terminal.waitFor('top -d 1');
    await terminal.press('q');
    expect(await terminal.exitCode()).toBe(0);
  });
}

/** An Escape with a key right behind it would be one key with Alt: wait until the status line of vi shows its effect. */
async function endInsert(terminal: Terminal): Promise<void> {
  await terminal.waitFor(/^I \/tmp\/note/m);
  await terminal.press('Escape');
  await terminal.waitFor(/^- \/tmp\/note/m);
}

function commandLine(target: ExecTarget, argv: string[]): { argv: readonly string[]; env: NodeJS.ProcessEnv } {
  const command = target.client.interactive?.({ ...target.container, argv });
  if (command === undefined) throw new Error(`${target.client.name} has no terminal`);
  return command;
}

function open(target: ExecTarget, argv: string[], size: Omit<TerminalOptions, 'env'> = {}): Promise<Terminal> {
  const command = commandLine(target, argv);
  return Terminal.start(command.argv, { ...size, env: command.env });
}
