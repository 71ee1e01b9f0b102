import { ExecPathError } from '../common/errors.ts';
import { clientFlags } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { failureText } from './failure-text.ts';
import { boolFlag, durationFlag, type FlagValues, intFlag, stringFlag } from './flag.ts';
import type { Io } from './io.ts';
import type { LogsOptions } from './logs/show-logs.ts';
import { podNameOf } from './pod-argument.ts';
import { UsageError } from './usage-error.ts';
import { withClient } from './with-client.ts';

const own = {
  container: stringFlag({
    short: 'c',
    value: 'NAME',
    source: 'container',
    help: 'the container',
    shownDefault: "the pod's default-container annotation, else its first",
  }),
  'all-containers': boolFlag({ help: 'of all containers of each pod' }),
  selector: stringFlag({ short: 'l', value: 'SELECTOR', help: 'of the pods with these labels, such as app=web' }),
  prefix: boolFlag({ help: 'the pod and the container before each line' }),
  follow: boolFlag({ short: 'f', help: 'go on with what is written until the containers end' }),
  'max-log-requests': intFlag({ value: 'N', help: 'with -f: no more logs at once than that', initial: 5 }),
  'ignore-errors': boolFlag({ help: 'a log that cannot be shown does not end the others' }),
  previous: boolFlag({ short: 'p', help: 'of the attempt before the present one' }),
  tail: intFlag({
    value: 'LINES',
    help: 'so many lines at the end; -1 is all',
    initial: -1,
    shownDefault: '-1, with -l 10',
  }),
  since: durationFlag({ help: 'nothing older, such as 5s, 2m or 3h', signed: true }),
  'since-time': stringFlag({ value: 'TIME', help: 'nothing older than this time of RFC 3339' }),
  timestamps: boolFlag({ help: 'each line begins with its time' }),
  'limit-bytes': intFlag({ value: 'BYTES', help: 'no more bytes of each log than that; 0 is all', initial: 0 }),
} as const;

const flags = { ...own, ...clientFlags } as const;

type Values = FlagValues<typeof flags>;

type Options = LogsOptions & {
  readonly values: Values;
  readonly args: readonly string[];
};

/** Of pods that a selector finds, who says nothing of it gets so many lines. */
const SELECTOR_TAIL = 10;

export const logsCommand = defineCommand({
  name: 'logs',
  summary: 'Show what containers have written',
  usage: '[-f] [-p] (POD [CONTAINER] | -l SELECTOR) [flags]',
  description: `
Shows the logs of containers: what their commands wrote to stdout and stderr. Several logs come one after the
other, with -f all at once, line by line.`,
  examples: [
    { about: 'all of it', line: 'podwire logs web' },
    { about: 'the last lines, and what comes', line: 'podwire logs -f --tail=20 web -c app' },
    { about: 'of the attempt that crashed', line: 'podwire logs -p web' },
    {
      about: 'what all pods with a label go on to write',
      line: 'podwire logs -f -l app=web --all-containers --prefix',
    },
  ],
  groups: [
    { title: 'Options', flags: own },
    { title: 'Cluster', flags: clientFlags },
  ],
  flags,
  complete: ({ args, values, given }): Options => {
    const [pod, container, ...more] = args;
    if (more.length > 0 || (pod === undefined && (values.selector ?? '') === '')) {
      throw new UsageError(
        "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\n" +
          'POD or TYPE/NAME is a required argument for the logs command',
      );
    }
    const tail = (values.selector ?? '') !== '' && !given.has('tail') ? SELECTOR_TAIL : values.tail;
    return {
      args,
      values,
      pod: pod === undefined ? undefined : podNameOf(pod),
      labelSelector: values.selector,
      container: (container ?? values.container) || undefined,
      allContainers: values['all-containers'],
      follow: values.follow,
      prefix: values.prefix,
      ignoreErrors: values['ignore-errors'],
      maxRequests: values['max-log-requests'] ?? 5,
      query: {
        follow: values.follow || undefined,
        previous: values.previous || undefined,
        timestamps: values.timestamps || undefined,
        tailLines: tail === -1 ? undefined : tail,
        sinceSeconds: values.since === undefined ? undefined : Math.max(1, Math.ceil(values.since / 1000)),
        sinceTime: values['since-time'],
        limitBytes: values['limit-bytes'] === 0 ? undefined : values['limit-bytes'],
      },
    };
  },
  validate: ({ args, values, container, allContainers }) => {
    const { since = 0, tail = -1, 'limit-bytes': limit = 0 } = values;
    if (args.length > 0 && (values.selector ?? '') !== '') {
      throw new UsageError('only a selector (-l) or a POD name is allowed');
    }
    if (since !== 0 && values['since-time'] !== undefined) {
      throw new UsageError('at most one of `sinceTime` or `sinceSeconds` may be specified');
    }
    if (allContainers && (container ?? '') !== '') {
      throw new UsageError(`--all-containers=true should not be specified with container name ${container}`);
    }
    if (args.length === 2 && values.container !== undefined) {
      throw new UsageError('only one of -c or an inline [CONTAINER] arg is allowed');
    }
    if (limit < 0) throw new UsageError('--limit-bytes must be greater than 0');
    if (since < 0) throw new UsageError('--since must be greater than 0');
    if (tail < -1) throw new UsageError('--tail must be greater than or equal to -1');
  },
  run: runLogs,
  suggest: async (request) => {
    const { suggestContainers, suggestPods } = await import('./suggest-objects.ts');
    return request.line.args.length === 0 ? suggestPods(request) : suggestContainers(request);
  },
});

async function runLogs(options: Options, io: Io): Promise<number> {
  return withClient(options.values, io, async (call) => {
    const { showLogs } = await import('./logs/show-logs.ts');
    try {
      return await showLogs(options, call, io);
    } catch (thrown) {
      if (!(thrown instanceof ExecPathError) || thrown.code !== 'ERR_NOT_FOUND') throw thrown;
      io.err.write(failureText(thrown, { namespace: options.values.namespace, pod: options.pod }));
      return 1;
    }
  });
}
