import { join } from 'node:path';
import type { StartRuntimeOptions } from '../runtime/index.ts';
import { closeInherited } from './close-inherited.ts';
import { defineCommand } from './command.ts';
import { boolFlag, durationFlag, intFlag, listFlag, stringFlag } from './flag.ts';
import { withoutUndefined } from './given-options.ts';
import { runInUserNamespace } from './in-user-namespace.ts';
import type { Io } from './io.ts';
import { isolationFlag, isolationOf } from './isolation-flag.ts';
import { serveUntilStopped } from './serve-until-stopped.ts';
import { stateFolder } from './state-folder.ts';
import { UsageError } from './usage-error.ts';

const flags = {
  'state-dir': stringFlag({
    value: 'DIR',
    source: 'folder',
    help: "the runtime's own folder",
    shownDefault: "the user's state folder, runtime",
  }),
  listen: listFlag({
    value: 'URL',
    help: 'unix:///PATH of the CRI socket, and tcp://HOST:PORT for CRI over TCP on loopback too; may be repeated',
    shownDefault: 'unix://<state-dir>/runtime.sock',
  }),
  'stream-address': stringFlag({
    value: 'IP',
    help: 'address of the streaming server; its URLs are all the right that a client needs',
    initial: '127.0.0.1',
  }),
  'stream-port': intFlag({
    value: 'PORT',
    help: 'its port; 0 for any free one',
    initial: 0,
    min: 0,
    max: 65_535,
    shownDefault: '0',
  }),
  'stream-idle-timeout': durationFlag({
    help: 'how long nothing may be typed or read; 0 for ever',
    shownDefault: '4h',
  }),
  isolation: isolationFlag,
  'leave-containers': boolFlag({
    help: 'when it is stopped, containers run on; the next runtime of the folder finds them, as it does after kill -9',
  }),
  'image-alias': listFlag({ value: 'IMAGE', help: 'another name of the host image; may be repeated' }),
} as const;

export const runtimeCommand = defineCommand({
  name: 'runtime',
  summary: 'Hop 4: a CRI runtime whose containers are processes',
  usage: '[flags]',
  description: `
Serves CRI v1 on a unix socket, and exec, attach and port-forward on a streaming server. Prints "ready" with
the socket's address. Containers of images that \`podwire image import\` took in have walls: a root file system,
processes, mounts, users and rights of their own; that takes root on Linux, or a user namespace, in which this
command then runs by itself. Containers of the built-in image
podwire.local/host run commands of this machine, in a folder of their own: nothing isolates them.`,
  examples: [
    { about: 'in the state folder', line: 'podwire runtime' },
    { about: 'for crictl and a real kubelet', line: 'podwire runtime --listen unix:///run/podwire.sock' },
  ],
  groups: [{ title: 'Options', flags }],
  flags,
  complete: (
    { args, values },
    io,
  ): { args: readonly string[]; options: StartRuntimeOptions; leaveContainers: boolean } => {
    const sockets = values.listen.filter((url) => url.startsWith('unix://'));
    const tcp = values.listen.filter((url) => url.startsWith('tcp://'));
    if (sockets.length > 1 || tcp.length > 1 || sockets.length + tcp.length < values.listen.length) {
      throw new UsageError(`--listen takes one unix:///PATH and one tcp://HOST:PORT, got ${values.listen.join(', ')}`);
    }
    const options = {
      isolation: isolationOf(values.isolation),
      stateDir: values['state-dir'] ?? join(stateFolder(io), 'runtime'),
      ...withoutUndefined({
        socketPath: sockets[0]?.slice('unix://'.length),
        tcp: tcp[0]?.slice('tcp://'.length),
        imageAliases: values['image-alias'].length > 0 ? values['image-alias'] : undefined,
      }),
      streaming: withoutUndefined({
        host: values['stream-address'],
        port: values['stream-port'],
        idleTimeoutMs: values['stream-idle-timeout'],
      }),
    };
    return { args, options, leaveContainers: values['leave-containers'] };
  },
  validate: ({ args }) => {
    if (args.length > 0) throw new UsageError(`runtime takes no argument, got ${JSON.stringify(args[0])}`);
  },
  run: async ({ options, leaveContainers }, io) => {
    const { isolation = false, stateDir } = options;
    const inside = await runInUserNamespace(io, { isolation, stateDir, hasImage: false });
    return inside ?? serveRuntime(options, leaveContainers, io);
  },
});

function serveRuntime(options: StartRuntimeOptions, leaveContainers: boolean, io: Io): Promise<number> {
  return serveUntilStopped(io, async () => {
    closeInherited([]);
    const { startRuntime } = await import('../runtime/index.ts');
    const runtime = await startRuntime(options);
    return {
      lines: runtime.endpoints.map((endpoint) => `ready ${endpoint}`),
      close: () => runtime.close({ leaveContainers }),
    };
  });
}
