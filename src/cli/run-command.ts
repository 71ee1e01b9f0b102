import type { Pod } from '../kubeapi/index.ts';
import { clientFlags } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { dryRunFlag, dryRunNote, warnOfDryRun } from './dry-run.ts';
import { boolFlag, choiceFlag, type FlagValues, intFlag, listFlag, stringFlag } from './flag.ts';
import type { Io } from './io.ts';
import { managedFieldsFlag, withoutManagedFields } from './managed-fields.ts';
import { UsageError } from './usage-error.ts';
import { withClient } from './with-client.ts';

const own = {
  image: stringFlag({ value: 'IMAGE', help: 'the image to run' }),
  restart: choiceFlag(['Always', 'OnFailure', 'Never'], { help: 'when the command starts again' }),
  env: listFlag({ value: 'NAME=VALUE', help: 'an environment variable; may be repeated' }),
  labels: listFlag({
    short: 'l',
    value: 'KEY=VALUE,…',
    split: true,
    help: 'labels of the pod',
    shownDefault: 'run=NAME',
  }),
  port: intFlag({ value: 'PORT', min: 1, max: 65_535, help: 'a port that the container says it listens on' }),
  command: boolFlag({ help: "what stands behind -- replaces the image's entrypoint, not its arguments" }),
  'image-pull-policy': choiceFlag(['', 'Always', 'IfNotPresent', 'Never'], { help: 'when the image is pulled' }),
  'dry-run': dryRunFlag('client: show it; server: check it too; write nothing'),
  output: choiceFlag(['', 'yaml', 'json', 'name'], { short: 'o', help: 'show what was made' }),
  ...managedFieldsFlag,
} as const;

const flags = { ...own, ...clientFlags } as const;

interface RunOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly values: FlagValues<typeof flags>;
}

export const runCommand = defineCommand({
  name: 'run',
  summary: 'Run an image in a pod of its own',
  usage: 'NAME --image=IMAGE [flags] [-- ARG…]',
  description: `
Makes a pod with one container, both named NAME. What stands behind -- are the image's arguments, or with
--command its command. To be in it: podwire exec -it NAME -- sh.`,
  examples: [
    { about: 'a pod that stays', line: 'podwire run web --image=docker.io/library/busybox -- sleep 3600' },
    { about: 'a command that runs once', line: 'podwire run job --image=busybox --restart=Never -- date' },
    { about: 'its manifest', line: 'podwire run web --image=busybox --dry-run=client -o yaml' },
  ],
  groups: [
    { title: 'Options', flags: own },
    { title: 'Cluster', flags: clientFlags },
  ],
  flags,
  complete: ({ args, beforeDash, values }): RunOptions => {
    const [name = '', ...more] = args.slice(0, beforeDash ?? args.length);
    if (more.length > 0) throw new UsageError(`put -- before the arguments: ${JSON.stringify(more[0])}`);
    return { name, command: beforeDash === undefined ? [] : args.slice(beforeDash), values };
  },
  validate: ({ name, values }) => {
    if (name === '') throw new UsageError('NAME is required for run');
    if ((values.image ?? '') === '') throw new UsageError('--image is required');
    for (const pair of [...values.env, ...values.labels]) {
      if (!/^[^=]+=/.test(pair)) throw new UsageError(`${JSON.stringify(pair)} must be NAME=VALUE`);
    }
  },
  run: runRun,
});

async function runRun(options: RunOptions, io: Io): Promise<number> {
  const { values } = options;
  const pod = podOf(options);
  warnOfDryRun(values['dry-run'], io);
  if (values['dry-run'].strategy === 'client') {
    await tell(pod, options, io);
    return 0;
  }
  return withClient(values, io, async ({ client, namespace, signal }) => {
    const { pods } = await import('../kubeapi/index.ts');
    const query = { fieldManager: 'podwire-run', dryRun: values['dry-run'].strategy === 'server' ? 'All' : undefined };
    await tell(await client.create(pods, pod, { namespace, signal, query }), options, io);
    return 0;
  });
}

async function tell(made: Pod, { name, values }: RunOptions, io: Io): Promise<void> {
  const { formatYaml } = await import('../kubeapi/index.ts');
  const pod = values['show-managed-fields'] ? made : withoutManagedFields(made);
  switch (values.output) {
    case 'yaml':
      io.out.write(formatYaml(pod));
      return;
    case 'json':
      io.out.write(`${JSON.stringify(pod, null, 4)}\n`);
      return;
    case 'name':
      io.out.write(`pod/${name}\n`);
      return;
    case '':
      io.out.write(`pod/${name} created${dryRunNote[values['dry-run'].strategy]}\n`);
  }
}

function podOf({ name, command, values }: RunOptions): Pod {
  const { image = '', env, labels, port, restart } = values;
  const policy = values['image-pull-policy'];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: labels.length === 0 ? { run: name } : Object.fromEntries(labels.map(pairOf)) },
    spec: {
      restartPolicy: restart,
      containers: [
        {
          name,
          image,
          ...(policy === '' ? {} : { imagePullPolicy: policy }),
          ...(env.length === 0 ? {} : { env: env.map(pairOf).map(([key, value]) => ({ name: key, value })) }),
          ...(port === undefined ? {} : { ports: [{ containerPort: port }] }),
          ...(command.length === 0 ? {} : { [values.command ? 'command' : 'args']: command }),
        },
      ],
    },
  };
}

function pairOf(text: string): [string, string] {
  const at = text.indexOf('=');
  return [text.slice(0, at), text.slice(at + 1)];
}
