import { join } from 'node:path';
import { clientFlags, kubeletFlag, serverOptions } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { PATH_FAILURE_CODE } from './exit-code.ts';
import { choiceFlag, type FlagValues, stringFlag } from './flag.ts';
import type { Io } from './io.ts';
import { podNameOf } from './pod-argument.ts';
import { stateFolder } from './state-folder.ts';
import { UsageError } from './usage-error.ts';

const own = {
  selector: stringFlag({ short: 'l', value: 'SELECTOR', help: 'every running pod with these labels, such as app=web' }),
  container: stringFlag({
    short: 'c',
    value: 'NAME',
    source: 'container',
    help: 'the container',
    shownDefault: 'as exec chooses it',
  }),
  shell: stringFlag({ value: 'PROGRAM', help: 'what runs each line, as PROGRAM -c LINE', initial: 'sh' }),
  'history-file': stringFlag({
    value: 'FILE',
    source: 'file',
    help: 'where lines are kept',
    shownDefault: "the user's state folder, history",
  }),
} as const;

const session = {
  ...kubeletFlag,
  transport: choiceFlag(['auto', 'websocket', 'spdy'], {
    help: 'what carries the streams; auto is WebSocket, then SPDY',
  }),
} as const;

const flags = { ...own, ...session, ...clientFlags } as const;

export type ShellFlagValues = FlagValues<typeof flags>;

export interface ShellOptions {
  /** Undefined with a selector. */
  readonly pod: string | undefined;
  readonly selector: string | undefined;
  readonly values: ShellFlagValues;
  readonly historyFile: string;
}

export const shellCommand = defineCommand({
  name: 'shell',
  summary: 'A prompt whose lines run in one pod or in many at once',
  usage: '(POD | -l SELECTOR) [-c CONTAINER] [flags]',
  description: `
Each line is a command of its own (sh -c LINE) in the pod, or in every selected pod at once with the pod's name
before each line and the exit codes at the end. Nothing is kept from line to line, no directory and no variable.
ctrl-C ends what runs, not the prompt; exit or ctrl-D leaves with the last exit code. Lines can come from a
pipe too.`,
  examples: [
    { about: 'one pod', line: 'podwire shell web' },
    { about: 'all pods with a label', line: 'podwire shell -l app=web' },
    { about: 'without a prompt', line: "echo 'df -h /' | podwire shell -l app=web" },
  ],
  groups: [
    { title: 'Options', flags: own },
    { title: 'Session', flags: session },
    { title: 'Cluster', flags: clientFlags },
  ],
  failureCode: PATH_FAILURE_CODE,
  flags,
  complete: ({ args, values }, io): ShellOptions => {
    const [pod, ...more] = args;
    if (more.length > 0) throw new UsageError(`shell takes one pod or -l SELECTOR, got ${args.join(', ')}`);
    return {
      pod: pod === undefined ? undefined : podNameOf(pod),
      selector: values.selector,
      values,
      historyFile: values['history-file'] ?? join(stateFolder(io), 'history'),
    };
  },
  validate: ({ pod, selector, values }) => {
    if ((pod === undefined) === (selector === undefined)) {
      throw new UsageError('shell takes either a pod or -l SELECTOR');
    }
    if (selector !== undefined && values.kubelet !== undefined) {
      throw new UsageError('-l SELECTOR asks an apiserver: it does not go with --kubelet');
    }
  },
  run: runShell,
  suggest: async (request) => {
    const { suggestPods } = await import('./suggest-objects.ts');
    return request.line.args.length === 0 ? suggestPods(request) : [];
  },
});

async function runShell(options: ShellOptions, io: Io): Promise<number> {
  const { openServer } = await import('../client/index.ts');
  const { ShellPrompt } = await import('./shell-prompt.ts');
  const api = await openServer(serverOptions(options.values));
  return await new ShellPrompt(api, options, io).run();
}
