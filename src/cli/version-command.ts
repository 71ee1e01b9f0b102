import { defineCommand } from './command.ts';
import { UsageError } from './usage-error.ts';

export const versionCommand = defineCommand({
  name: 'version',
  summary: 'Show the version',
  usage: '',
  description: 'Prints the version of podwire. It calls no server.',
  examples: [{ about: 'Which podwire is this?', line: 'podwire version' }],
  groups: [],
  flags: {},
  complete: ({ args }) => args,
  validate: (args) => {
    if (args.length > 0) throw new UsageError(`version takes no argument, got ${JSON.stringify(args[0])}`);
  },
  run: async (_args, io) => {
    io.out.write(`podwire ${io.version}\n`);
    return 0;
  },
});
