import { clientFlags, kubeletFlag, requestTimeoutMs, serverOptions } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { PATH_FAILURE_CODE } from './exit-code.ts';
import { failureText } from './failure-text.ts';
import { boolFlag, choiceFlag, durationFlag, type FlagValues, stringFlag } from './flag.ts';
import type { ParsedLine } from './flag-parser.ts';
import { Interruption } from './interruption.ts';
import type { Io } from './io.ts';
import { podNameOf } from './pod-argument.ts';
import { UsageError } from './usage-error.ts';

const own = {
  stdin: boolFlag({ short: 'i', help: 'pass stdin to the command' }),
  tty: boolFlag({ short: 't', help: 'run it on a terminal; with -i and a local terminal only' }),
  container: stringFlag({
    short: 'c',
    value: 'NAME',
    source: 'container',
    help: 'the container',
    shownDefault: "the pod's default-container annotation, else its first",
  }),
  quiet: boolFlag({ short: 'q', help: 'do not say which container was chosen' }),
} as const;

const session = {
  ...kubeletFlag,
  transport: choiceFlag(['auto', 'websocket', 'spdy'], {
    help: 'what carries the streams; auto is WebSocket, then SPDY',
  }),
  'dial-timeout': durationFlag({ help: 'longest time for a connection: name, TCP, proxy, TLS', shownDefault: '30s' }),
  'upgrade-timeout': durationFlag({
    help: 'longest time until the server has found the container',
    shownDefault: '30s',
  }),
  'keepalive-interval': durationFlag({ help: 'time between two pings; 0 for none', shownDefault: '5s' }),
  'keepalive-timeout': durationFlag({ help: 'longest silence of the server; 0 for ever', shownDefault: '1m' }),
} as const;

const flags = { ...own, ...session, ...clientFlags } as const;

interface ExecCommandOptions {
  readonly pod: string;
  readonly command: readonly string[];
  readonly values: FlagValues<typeof flags>;
}

export const execCommand = defineCommand({
  name: 'exec',
  summary: 'Run a command in a container',
  usage: '[-i] [-t] POD [-c CONTAINER] [flags] -- COMMAND [ARG…]',
  description: `
The command runs without a shell: each word after -- is one argument. Its exit code is podwire's. 125 says
that the path failed, and stderr says where, why and what to do; 126 and 127 that the container has no
such program, or one that cannot be run.`,
  examples: [
    { about: 'one command', line: 'podwire exec web -- date' },
    { about: 'a shell on a terminal, in a container by name', line: 'podwire exec -it web -c app -- sh' },
    { about: 'a file into the container', line: "podwire exec -i web -- sh -c 'cat >/tmp/file' <file" },
    { about: 'without an apiserver', line: 'podwire exec --kubelet https://10.0.0.7:10250 web -- id' },
  ],
  groups: [
    { title: 'Options', flags: own },
    { title: 'Session', flags: session },
    { title: 'Cluster', flags: clientFlags },
  ],
  failureCode: PATH_FAILURE_CODE,
  flags,
  complete: (line: ParsedLine<typeof flags>): ExecCommandOptions => {
    const { args, beforeDash, values } = line;
    const [pod = '', ...more] = args.slice(0, beforeDash ?? args.length);
    if (more.length > 0) {
      throw new UsageError(`exec [POD] [COMMAND] is not supported: put -- before ${JSON.stringify(more[0])}`);
    }
    return { pod: podNameOf(pod), command: beforeDash === undefined ? [] : args.slice(beforeDash), values };
  },
  validate: ({ command, values }) => {
    if (command.length === 0) throw new UsageError('you must specify at least one command for the container');
    if (values.kubelet !== undefined && values.server !== undefined) {
      throw new UsageError('--kubelet and --server exclude each other: one server is called');
    }
  },
  run: runExec,
  suggest: async (request) => {
    const { suggestPods } = await import('./suggest-objects.ts');
    return request.line.args.length === 0 ? suggestPods(request) : [];
  },
});

async function runExec({ pod, command, values }: ExecCommandOptions, io: Io): Promise<number> {
  using interruption = new Interruption(io);
  const { openServer, findPod, chooseContainer } = await import('../client/index.ts');
  const { runSession } = await import('./run-session.ts');
  const { signal } = interruption;
  try {
    const api = await openServer(serverOptions(values));
    const namespace = values.namespace ?? api.namespace;
    const found = await findPod(api, { namespace, pod }, { signal, timeoutMs: requestTimeoutMs(values) });
    const { container, notice } = chooseContainer(found, values.container);
    if (notice !== undefined && !values.quiet) io.err.write(`${notice}\n`);
    const options = {
      api,
      namespace,
      pod,
      container,
      command,
      signal,
      stdin: values.stdin,
      tty: values.tty && values.stdin,
      transport: values.transport,
      dialTimeoutMs: values['dial-timeout'],
      upgradeTimeoutMs: values['upgrade-timeout'],
      pingIntervalMs: values['keepalive-interval'],
      keepaliveTimeoutMs: values['keepalive-timeout'],
    };
    return await runSession(options, io, interruption);
  } catch (thrown) {
    if (interruption.exitCode !== undefined) return interruption.exitCode;
    const { namespace } = values;
    const { credentialRemedy } = await import('./credential-remedy.ts');
    const remedy = await credentialRemedy(thrown, serverOptions(values)).catch(() => undefined);
    io.err.write(failureText(thrown, { namespace, pod, remedy }));
    return PATH_FAILURE_CODE;
  }
}
