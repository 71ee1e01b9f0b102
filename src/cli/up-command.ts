import { join } from 'node:path';
import { closeInherited } from './close-inherited.ts';
import { type ClusterFlagValues, clusterFlags, clusterOptions, namespaceWish } from './cluster-flags.ts';
import { paintFor } from './colours.ts';
import { defineCommand } from './command.ts';
import { runInUserNamespace } from './in-user-namespace.ts';
import { Interruption } from './interruption.ts';
import type { Io } from './io.ts';
import { makeStateFolder, stateFolder } from './state-folder.ts';
import { storeOptions, validateStorage } from './storage-flags.ts';
import { UsageError } from './usage-error.ts';

interface UpOptions {
  readonly values: ClusterFlagValues;
  readonly stateDir: string;
  readonly args: readonly string[];
}

export const upCommand = defineCommand({
  name: 'up',
  summary: 'All four hops in one process, with a pod to exec into',
  usage: '[flags]',
  description: `
Starts apiserver, kubelet and runtime on loopback, with TLS between them and a CA of its own, and runs the
pod default/demo. Prints the path of a kubeconfig, and the line "ready" when the first exec can come.
ctrl-C or SIGTERM stops everything and leaves no process behind; a second one does so without patience.
Objects are kept in the state folder: pods of yours run again when it is started again.`,
  examples: [
    { about: 'then, in another terminal: podwire exec -it demo -- sh', line: 'podwire up' },
    {
      about: 'a container with walls of its own, from an image archive',
      line: 'sudo podwire up --demo-image alpine.tar',
    },
    {
      about: "a real containerd in place of podwire's runtime",
      line: 'podwire up --container-runtime-endpoint unix:///run/containerd/containerd.sock --demo-image docker.io/library/busybox:latest',
    },
  ],
  groups: [{ title: 'Options', flags: clusterFlags }],
  flags: clusterFlags,
  complete: ({ args, values }, io): UpOptions => ({ args, values, stateDir: values['state-dir'] ?? stateFolder(io) }),
  validate: ({ args, values }) => {
    if (args.length > 0) throw new UsageError(`up takes no argument, got ${JSON.stringify(args[0])}`);
    validateStorage(values);
    if (values['container-runtime-endpoint'] !== undefined && values['demo-image'] === undefined) {
      throw new UsageError(
        '--container-runtime-endpoint needs --demo-image: an image that this runtime has or can pull',
      );
    }
  },
  run: runUp,
});

async function runUp({ values, stateDir }: UpOptions, io: Io): Promise<number> {
  await makeStateFolder(stateDir);
  const inside = await runInUserNamespace(io, namespaceWish(values, join(stateDir, 'runtime')));
  if (inside !== undefined) return inside;
  closeInherited([values['demo-image'] ?? '']);
  using interruption = new Interruption(io);
  const { startCluster } = await import('../cluster/index.ts');
  const { signal } = interruption;
  const onProblem = (message: string): void => void io.err.write(`podwire up: ${message}\n`);
  try {
    const cluster = await startCluster({
      ...clusterOptions(values),
      store: storeOptions(values, { storageBackend: 'embedded', dataDir: join(stateDir, 'store') }, ({ message }) =>
        onProblem(message),
      ),
      stateDir,
      version: io.version,
      onProblem,
      signal,
    });
    try {
      const paint = paintFor(io.out, io);
      io.out.write(`kubeconfig ${cluster.kubeconfig}\n`);
      io.out.write(`${paint('green', 'ready')} ${cluster.server}\n`);
      if (io.out.isTTY === true) io.err.write(hints(cluster.kubeconfig));
      await interruption.wait();
    } finally {
      await cluster.close();
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
  return 0;
}

function hints(kubeconfig: string): string {
  return `
In another terminal:
  export KUBECONFIG=${kubeconfig}
  podwire exec -it demo -- sh      # or: kubectl exec -it demo -- sh
ctrl-C stops everything.
`;
}
