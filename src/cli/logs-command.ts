import type { Pod } from '../kubeapi/index.ts';
import { clientFlags } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { boolFlag, durationFlag, type FlagValues, intFlag, stringFlag } from './flag.ts';
import type { Io } from './io.ts';
import { podNameOf } from './pod-argument.ts';
import { UsageError } from './usage-error.ts';
import { withClient } from './with-client.ts';
import { writeAnswer } from './write-answer.ts';

const own = {
  container: stringFlag({
    short: 'c',
    value: 'NAME',
    source: 'container',
    help: 'the container',
    shownDefault: "the pod's default-container annotation, else its first",
  }),
  follow: boolFlag({ short: 'f', help: 'go on with what is written until the container ends' }),
  previous: boolFlag({ short: 'p', help: 'of the attempt before the present one' }),
  tail: intFlag({ value: 'LINES', help: 'so many lines at the end; -1 is all', initial: -1, min: -1 }),
  since: durationFlag({ help: 'nothing older, such as 5s, 2m or 3h' }),
  'since-time': stringFlag({ value: 'TIME', help: 'nothing older than this time of RFC 3339' }),
  timestamps: boolFlag({ help: 'each line begins with its time' }),
  'limit-bytes': intFlag({ value: 'BYTES', help: 'no more bytes than that', min: 1 }),
} as const;

const flags = { ...own, ...clientFlags } as const;

interface LogsOptions {
  readonly pod: string;
  readonly container: string | undefined;
  readonly values: FlagValues<typeof flags>;
}

/** Names the container whose log is meant when nobody names one. */
const DEFAULT_CONTAINER_ANNOTATION = 'kubectl.kubernetes.io/default-container';

export const logsCommand = defineCommand({
  name: 'logs',
  summary: 'Show what a container has written',
  usage: '[-f] [-p] POD [CONTAINER] [flags]',
  description: 'Shows the log of a container: what its command wrote to stdout and stderr.',
  examples: [
    { about: 'all of it', line: 'podwire logs web' },
    { about: 'the last lines, and what comes', line: 'podwire logs -f --tail=20 web -c app' },
    { about: 'of the attempt that crashed', line: 'podwire logs -p web' },
  ],
  groups: [
    { title: 'Options', flags: own },
    { title: 'Cluster', flags: clientFlags },
  ],
  flags,
  complete: ({ args, values }): LogsOptions => {
    const [pod = '', container, ...more] = args;
    if (more.length > 0) throw new UsageError(`logs takes a pod and a container, got ${JSON.stringify(more[0])} too`);
    return { pod: podNameOf(pod), container: values.container ?? container, values };
  },
  validate: ({ values }) => {
    if (values.since !== undefined && values['since-time'] !== undefined) {
      throw new UsageError('at most one of --since and --since-time may be specified');
    }
  },
  run: runLogs,
  suggest: async (request) => {
    const { suggestContainers, suggestPods } = await import('./suggest-objects.ts');
    return request.line.args.length === 0 ? suggestPods(request) : suggestContainers(request);
  },
});

async function runLogs({ pod: name, container: named, values }: LogsOptions, io: Io): Promise<number> {
  return withClient(values, io, async ({ client, namespace, signal }) => {
    const { pods, resourcePath } = await import('../kubeapi/index.ts');
    const pod = await client.get(pods, name, { namespace, signal });
    const container = named ?? defaultContainer(pod, io);
    const { tail, since, previous, follow, timestamps } = values;
    const answer = await client.stream('GET', `${resourcePath(pods, { namespace, name })}/log`, {
      signal,
      query: {
        container,
        follow: follow || undefined,
        previous: previous || undefined,
        timestamps: timestamps || undefined,
        tailLines: tail === undefined || tail < 0 ? undefined : tail,
        sinceSeconds: since === undefined ? undefined : Math.max(1, Math.ceil(since / 1000)),
        sinceTime: values['since-time'],
        limitBytes: values['limit-bytes'],
      },
    });
    await writeAnswer(answer, io);
    return 0;
  });
}

/** As kubectl: the annotation, else the first, and a word about it when there are several. */
function defaultContainer({ metadata, spec }: Pod, io: Io): string | undefined {
  const annotated = metadata.annotations?.[DEFAULT_CONTAINER_ANNOTATION];
  const inits = (spec.initContainers ?? []).map(({ name }) => `${name} (init)`);
  const names = [...spec.containers.map(({ name }) => name), ...inits];
  if (annotated !== undefined && spec.containers.some(({ name }) => name === annotated)) return annotated;
  const [first] = spec.containers;
  if (names.length > 1) io.err.write(`Defaulted container "${first?.name}" out of: ${names.join(', ')}\n`);
  return first?.name;
}
