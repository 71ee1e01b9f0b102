import type { Pod } from '../kubeapi/index.ts';
import { clientFlags } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { dryRunFlag, dryRunNote, warnOfDryRun } from './dry-run.ts';
import { boolFlag, choiceFlag, durationFlag, type FlagValues, intFlag, listFlag, stringFlag } from './flag.ts';
import type { Io } from './io.ts';
import { managedFieldsFlag, withoutManagedFields } from './managed-fields.ts';
import { UsageError } from './usage-error.ts';
import { withClient } from './with-client.ts';

const restartPolicies = ['Always', 'OnFailure', 'Never'] as const;
const pullPolicies = ['', 'Always', 'IfNotPresent', 'Never'] as const;

const own = {
  image: stringFlag({ value: 'IMAGE', help: 'the image to run' }),
  restart: stringFlag({
    value: restartPolicies.join('|'),
    source: restartPolicies,
    initial: 'Always',
    help: 'when the command starts again',
  }),
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
  'image-pull-policy': stringFlag({
    value: pullPolicies.filter((policy) => policy !== '').join('|'),
    source: pullPolicies,
    help: 'when the image is pulled',
  }),
  overrides: stringFlag({ value: 'JSON', help: 'what is to be other in the pod, as a JSON merge patch' }),
  'dry-run': dryRunFlag('client: show it; server: check it too; write nothing'),
  output: choiceFlag(['', 'yaml', 'json', 'name'], { short: 'o', help: 'show what was made' }),
  ...managedFieldsFlag,
} as const;

const attached = {
  stdin: boolFlag({ short: 'i', help: 'the container has a stdin, and ours is passed to it: --attach' }),
  tty: boolFlag({ short: 't', help: 'the container has a terminal; with -i only' }),
  attach: boolFlag({ help: 'wait until the pod runs and show what its command writes until it ends' }),
  rm: boolFlag({ help: 'delete the pod when the run is over, also by ctrl-C or a lost connection' }),
  quiet: boolFlag({ short: 'q', help: 'only the output of the command' }),
  'leave-stdin-open': boolFlag({ help: 'stdin stays open for the next one who attaches' }),
  'pod-running-timeout': durationFlag({
    signed: true,
    help: 'how long at most until the pod runs, and after its command until it has ended',
    shownDefault: '1m',
  }),
} as const;

const flags = { ...own, ...attached, ...clientFlags } as const;

const POD_RUNNING_TIMEOUT_MS = 60_000;

interface RunOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly attaches: boolean;
  readonly values: FlagValues<typeof flags>;
}

export const runCommand = defineCommand({
  name: 'run',
  summary: 'Run an image in a pod of its own',
  usage: 'NAME --image=IMAGE [flags] [-- ARG…]',
  description: `
Makes a pod with one container, both named NAME. What stands behind -- are the image's arguments, or with
--command its command. With --attach or -i it waits for the pod and joins its command, or shows what it
wrote if it has ended already. With --restart=Never (or OnFailure) the exit code is the command's; 125 says
that the path failed. podwire exec runs another command in the pod.`,
  examples: [
    { about: 'a pod that stays', line: 'podwire run web --image=docker.io/library/busybox -- sleep 3600' },
    { about: 'a command that runs once', line: 'podwire run job --image=busybox --restart=Never -- date' },
    {
      about: 'a shell in a pod that goes with it',
      line: 'podwire run -it --rm try --image=busybox --restart=Never -- sh',
    },
    {
      about: 'on the network of its node',
      line: `podwire run net --image=busybox --overrides='{"spec":{"hostNetwork":true}}'`,
    },
    { about: 'its manifest', line: 'podwire run web --image=busybox --dry-run=client -o yaml' },
  ],
  groups: [
    { title: 'Options', flags: own },
    { title: 'To join it', flags: attached },
    { title: 'Cluster', flags: clientFlags },
  ],
  flags,
  complete: ({ args, beforeDash, values, given }): RunOptions => {
    const [name = '', ...more] = args.slice(0, beforeDash ?? args.length);
    if (more.length > 0) throw new UsageError(`put -- before the arguments: ${JSON.stringify(more[0])}`);
    const command = beforeDash === undefined ? [] : args.slice(beforeDash);
    return { name, command, attaches: given.has('attach') ? values.attach : values.stdin, values };
  },
  validate: ({ name, attaches, values }) => {
    if (values.image === undefined) throw new UsageError('required flag(s) "image" not set');
    if (name === '') throw new UsageError('NAME is required for run');
    if ((values['pod-running-timeout'] ?? 1) <= 0) {
      throw new UsageError('--pod-running-timeout must be higher than zero');
    }
    if (values.image === '') throw new UsageError('--image is required');
    if (values.tty && !values.stdin) {
      throw new UsageError('-i/--stdin is required for containers with -t/--tty=true');
    }
    choiceOf(restartPolicies, values.restart, 'restart policy');
    if (values.rm && !attaches) throw new UsageError('--rm should only be used for attached containers');
    if (attaches && values['dry-run'].strategy !== 'none') {
      throw new UsageError(
        "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)",
      );
    }
    choiceOf(pullPolicies, values['image-pull-policy'] ?? '', 'image pull policy');
    for (const pair of [...values.env, ...values.labels]) {
      if (!/^[^=]+=/.test(pair)) throw new UsageError(`${JSON.stringify(pair)} must be NAME=VALUE`);
    }
  },
  run: runRun,
});

async function runRun(options: RunOptions, io: Io): Promise<number> {
  const { values, attaches } = options;
  const pod = await podFor(options);
  warnOfDryRun(values['dry-run'], io);
  if (values['dry-run'].strategy === 'client') {
    await tell(pod, options, io);
    return 0;
  }
  return withClient(values, io, async (call) => {
    const { pods } = await import('../kubeapi/index.ts');
    const { client, namespace, signal } = call;
    const query = { fieldManager: 'podwire-run', dryRun: values['dry-run'].strategy === 'server' ? 'All' : undefined };
    if (!attaches) {
      await tell(await client.create(pods, pod, { namespace, signal, query }), options, io);
      return 0;
    }
    const { runAttached } = await import('./run/run-attached.ts');
    const how = {
      stdin: values.stdin,
      tty: values.tty,
      leaveStdinOpen: values['leave-stdin-open'],
      removes: values.rm,
      quiet: values.quiet,
      podRunningTimeoutMs: values['pod-running-timeout'] ?? POD_RUNNING_TIMEOUT_MS,
    };
    return runAttached(() => client.create(pods, pod, { namespace, query }), how, call, io);
  });
}

async function podFor({ name, command, values }: RunOptions): Promise<Pod> {
  const { podOf } = await import('./run/pod-of.ts');
  return podOf({
    name,
    command,
    image: values.image ?? '',
    restartPolicy: choiceOf(restartPolicies, values.restart, 'restart policy'),
    imagePullPolicy: choiceOf(pullPolicies, values['image-pull-policy'] ?? '', 'image pull policy'),
    env: values.env,
    labels: values.labels,
    port: values.port,
    replacesCommand: values.command,
    stdin: values.stdin,
    leaveStdinOpen: values['leave-stdin-open'],
    tty: values.tty,
    overrides: values.overrides ?? '',
  });
}

/** @throws UsageError in kubectl's words */
function choiceOf<T extends string>(choices: readonly T[], text: string | undefined, what: string): T {
  const choice = choices.find((one) => one === text);
  if (choice === undefined) throw new UsageError(`invalid ${what}: ${text}`);
  return choice;
}

async function tell(made: Pod, { values }: RunOptions, io: Io): Promise<void> {
  const { formatYaml } = await import('../kubeapi/index.ts');
  const pod = values['show-managed-fields'] ? made : withoutManagedFields(made);
  const { name } = pod.metadata;
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
