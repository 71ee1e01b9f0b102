import { defineCommand } from './command.ts';
import { completionScript, type ShellName, shells } from './completion-script.ts';
import { UsageError } from './usage-error.ts';

export const completionCommand = defineCommand({
  name: 'completion',
  summary: 'Write the completion script for bash, zsh or fish',
  usage: '(bash | zsh | fish)',
  description: `
Prints a script that makes the tab key complete commands, flags and their values, and the names of pods,
containers, namespaces and contexts. The script asks podwire itself (podwire __complete), so it need not be
written anew when podwire changes.`,
  examples: [
    { about: 'bash, in ~/.bashrc', line: 'source <(podwire completion bash)' },
    { about: 'zsh, in ~/.zshrc behind compinit', line: 'source <(podwire completion zsh)' },
    { about: 'fish', line: 'podwire completion fish >~/.config/fish/completions/podwire.fish' },
  ],
  groups: [],
  flags: {},
  complete: ({ args }) => args,
  validate: ([shell, ...more]) => {
    if (shell === undefined || more.length > 0 || !isShell(shell)) {
      throw new UsageError(`completion takes one of ${shells.join(', ')}, got ${JSON.stringify(shell ?? '')}`);
    }
  },
  run: async ([shell = ''], io) => {
    if (isShell(shell)) io.out.write(completionScript(shell));
    return 0;
  },
  suggest: async ({ line }) => (line.args.length === 0 ? shells : []),
});

function isShell(word: string): word is ShellName {
  return (shells as readonly string[]).includes(word);
}
