import type { Command } from './command.ts';

/** A command that is loaded when it is used: start-up time is what it imports. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

export interface CommandGroup {
  readonly title: string;
  readonly commands: readonly CommandEntry[];
}

/** Every command of podwire. */
export const commandGroups: readonly CommandGroup[] = [
  {
    title: 'Run commands in pods',
    commands: [
      {
        name: 'exec',
        summary: 'Run a command in a container',
        load: async () => (await import('./exec-command.ts')).execCommand,
      },
      {
        name: 'shell',
        summary: 'A prompt whose lines run in one pod or in many at once',
        load: async () => (await import('./shell-command.ts')).shellCommand,
      },
      {
        name: 'logs',
        summary: 'Show what containers have written',
        load: async () => (await import('./logs-command.ts')).logsCommand,
      },
    ],
  },
  {
    title: 'Objects',
    commands: [
      {
        name: 'get',
        summary: 'Show objects of any type, such as pods and nodes',
        load: async () => (await import('./get-command.ts')).getCommand,
      },
      {
        name: 'describe',
        summary: 'Show all about objects of any type, and what happened to them',
        load: async () => (await import('./describe-command.ts')).describeCommand,
      },
      {
        name: 'apply',
        summary: 'Make objects be as manifests say',
        load: async () => (await import('./apply-command.ts')).applyCommand,
      },
      {
        name: 'delete',
        summary: 'Delete objects by name, by labels or as a manifest names them',
        load: async () => (await import('./delete-command.ts')).deleteCommand,
      },
      {
        name: 'run',
        summary: 'Run an image in a pod of its own',
        load: async () => (await import('./run-command.ts')).runCommand,
      },
      {
        name: 'wait',
        summary: 'Wait until objects are there, are gone, or have a condition or a value',
        load: async () => (await import('./wait-command.ts')).waitCommand,
      },
    ],
  },
  {
    title: 'Run the hops',
    commands: [
      {
        name: 'up',
        summary: 'All four hops in one process, with a pod to exec into',
        load: async () => (await import('./up-command.ts')).upCommand,
      },
      {
        name: 'demo',
        summary: 'up, and a shell in its pod; everything stops with the shell',
        load: async () => (await import('./demo-command.ts')).demoCommand,
      },
      {
        name: 'apiserver',
        summary: 'Hop 2: the part of the Kubernetes API that exec needs',
        load: async () => (await import('./apiserver-command.ts')).apiserverCommand,
      },
      {
        name: 'kubelet',
        summary: "Hop 3: a node's agent before any CRI runtime",
        load: async () => (await import('./kubelet-command.ts')).kubeletCommand,
      },
      {
        name: 'runtime',
        summary: 'Hop 4: a CRI runtime whose containers are processes',
        load: async () => (await import('./runtime-command.ts')).runtimeCommand,
      },
      {
        name: 'image',
        summary: "Images of podwire's runtime: import, list, remove",
        load: async () => (await import('./image-command.ts')).imageCommand,
      },
      {
        name: 'certs',
        summary: 'Certificates and kubeconfigs for hops on machines of their own',
        load: async () => (await import('./certs-command.ts')).certsCommand,
      },
    ],
  },
  {
    title: 'Other',
    commands: [
      {
        name: 'version',
        summary: 'Show the version',
        load: async () => (await import('./version-command.ts')).versionCommand,
      },
      {
        name: 'completion',
        summary: 'Write the completion script for bash, zsh or fish',
        load: async () => (await import('./completion-command.ts')).completionCommand,
      },
    ],
  },
];

export const commandEntries: readonly CommandEntry[] = commandGroups.flatMap(({ commands }) => commands);

export function findCommand(name: string): CommandEntry | undefined {
  return commandEntries.find((entry) => entry.name === name);
}
