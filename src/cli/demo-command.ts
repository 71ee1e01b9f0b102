import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeInherited } from './close-inherited.ts';
import { type ClusterFlagValues, clusterFlags, clusterOptions, namespaceWish } from './cluster-flags.ts';
import { defineCommand } from './command.ts';
import { PATH_FAILURE_CODE } from './exit-code.ts';
import { intFlag } from './flag.ts';
import { runInUserNamespace } from './in-user-namespace.ts';
import { Interruption } from './interruption.ts';
import type { Io } from './io.ts';
import { storageFlags, storeOptions, validateStorage } from './storage-flags.ts';

const flags = {
  ...clusterFlags,
  'state-dir': { ...clusterFlags['state-dir'], shownDefault: 'a temporary folder' },
  'storage-backend': { ...storageFlags['storage-backend'], shownDefault: 'memory' },
  'secure-port': intFlag({
    value: 'PORT',
    help: 'port of the apiserver; 0 for any free one',
    initial: 0,
    min: 0,
    max: 65_535,
    shownDefault: '0',
  }),
} as const;

/** Shows where it runs: whoever reads the output sees that something ran behind four hops. */
const SHOW =
  'echo "hello from the container demo of the pod default/demo, through client, apiserver, kubelet and runtime"; id; uname -srm';

interface DemoOptions {
  readonly values: ClusterFlagValues;
  readonly command: readonly string[];
}

export const demoCommand = defineCommand({
  name: 'demo',
  summary: 'up, and a shell in its pod; everything stops with the shell',
  usage: '[flags] [-- COMMAND [ARG…]]',
  description: `
Starts all four hops, opens a shell in the demo container through all of them, and stops everything when
the shell ends. Without a terminal one command runs, and its output and exit code are passed on. State
lives in a temporary folder that goes with it, unless --state-dir names one.`,
  examples: [
    { about: 'a shell behind four hops', line: 'podwire demo' },
    { about: 'a shell in a container with walls of its own', line: 'sudo podwire demo --demo-image alpine.tar' },
    { about: 'one command behind four hops', line: 'podwire demo -- ps aux' },
  ],
  groups: [{ title: 'Options', flags }],
  failureCode: PATH_FAILURE_CODE,
  flags,
  complete: ({ args, values }): DemoOptions => ({ command: args, values }),
  validate: ({ values }) => validateStorage(values),
  run: runDemo,
});

async function runDemo({ values, command }: DemoOptions, io: Io): Promise<number> {
  const stateFolder = values['state-dir'];
  const wish = namespaceWish(values, stateFolder === undefined ? undefined : join(stateFolder, 'runtime'));
  const inside = await runInUserNamespace(io, wish);
  if (inside !== undefined) return inside;
  closeInherited([values['demo-image'] ?? '']);
  using interruption = new Interruption(io);
  const temporary = values['state-dir'] === undefined ? await mkdtemp(join(tmpdir(), 'podwire-demo-')) : undefined;
  const stateDir = values['state-dir'] ?? temporary ?? '';
  try {
    return await inCluster(stateDir, { values, command }, io, interruption);
  } catch (thrown) {
    if (interruption.exitCode !== undefined) return interruption.exitCode;
    throw thrown;
  } finally {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  }
}

async function inCluster(
  stateDir: string,
  { values, command }: DemoOptions,
  io: Io,
  interruption: Interruption,
): Promise<number> {
  const { DEMO_POD, startCluster } = await import('../cluster/index.ts');
  const { openServer } = await import('../client/index.ts');
  const { runSession } = await import('./run-session.ts');
  const { signal } = interruption;
  const onProblem = (message: string): void => void io.err.write(`podwire demo: ${message}\n`);
  const cluster = await startCluster({
    ...clusterOptions(values),
    store: storeOptions(values, { storageBackend: 'memory' }, ({ message }) => onProblem(message)),
    stateDir,
    version: io.version,
    onProblem,
    signal,
  });
  try {
    const isInteractive = io.inIsTerminal && io.out.isTTY === true;
    if (isInteractive) {
      io.err.write(
        `ready ${cluster.server}\nkubeconfig ${cluster.kubeconfig}\nA shell in the pod default/demo; exit stops everything.\n`,
      );
    }
    const api = await openServer({ kubeconfig: cluster.kubeconfig });
    const chosen = command.length > 0 ? command : isInteractive ? ['sh'] : ['sh', '-c', SHOW];
    const { namespace, name: pod, container } = DEMO_POD;
    const streams = { stdin: isInteractive, tty: isInteractive };
    return await runSession({ api, namespace, pod, container, command: chosen, signal, ...streams }, io, interruption);
  } finally {
    await cluster.close();
  }
}
