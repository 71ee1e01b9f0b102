import { join } from 'node:path';
import type { ReloadingTls, TlsFiles } from '../pki/index.ts';
import type { StartRuntimeOptions } from '../runtime/index.ts';
import { closeInherited } from './close-inherited.ts';
import { defineCommand } from './command.ts';
import { boolFlag, durationFlag, intFlag, listFlag, stringFlag } from './flag.ts';
import { withoutUndefined } from './given-options.ts';
import { runInUserNamespace } from './in-user-namespace.ts';
import type { Io } from './io.ts';
import { isolationFlag, isolationOf } from './isolation-flag.ts';
import { type ServedHop, serveUntilStopped } from './serve-until-stopped.ts';
import { makeStateFolder, stateFolder } from './state-folder.ts';
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
    help: 'address of the streaming server, and the host of its URLs, which are all the right that a client needs: without TLS it must be on loopback',
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
  'stream-tls-cert-file': stringFlag({
    value: 'FILE',
    source: 'file',
    help: 'its certificate, PEM, for the host of --stream-address; read again when it changes; the URLs are https then',
  }),
  'stream-tls-key-file': stringFlag({ value: 'FILE', source: 'file', help: 'its key, PEM' }),
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

interface RuntimeCommandOptions {
  readonly args: readonly string[];
  readonly options: StartRuntimeOptions;
  readonly streamTls: TlsFiles;
  readonly leaveContainers: boolean;
}

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
    {
      about: 'with a streaming server that other machines reach',
      line: 'podwire runtime --stream-address 10.0.0.7 --stream-tls-cert-file node.crt --stream-tls-key-file node.key',
    },
  ],
  groups: [{ title: 'Options', flags }],
  flags,
  complete: ({ args, values }, io): RuntimeCommandOptions => {
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
    const streamTls = {
      certificateFile: values['stream-tls-cert-file'],
      keyFile: values['stream-tls-key-file'],
    };
    return { args, options, streamTls, leaveContainers: values['leave-containers'] };
  },
  validate: ({ args, streamTls }) => {
    if (args.length > 0) throw new UsageError(`runtime takes no argument, got ${JSON.stringify(args[0])}`);
    if ((streamTls.certificateFile === undefined) !== (streamTls.keyFile === undefined)) {
      throw new UsageError('--stream-tls-cert-file and --stream-tls-key-file go together: give both or none');
    }
  },
  run: async (command, io) => {
    const { isolation = false, stateDir } = command.options;
    await makeStateFolder(stateDir);
    const inside = await runInUserNamespace(io, { isolation, stateDir, hasImage: false });
    return inside ?? serveUntilStopped(io, () => serve(command, io));
  },
});

async function serve({ options, streamTls, leaveContainers }: RuntimeCommandOptions, io: Io): Promise<ServedHop> {
  closeInherited([]);
  const tls = await loadTls(streamTls, io);
  try {
    const { startRuntime } = await import('../runtime/index.ts');
    const runtime = await startRuntime({
      ...options,
      streaming: { ...options.streaming, ...withoutUndefined({ tls }) },
    });
    return {
      lines: runtime.endpoints.map((endpoint) => `ready ${endpoint}`),
      close: async () => {
        await runtime.close({ leaveContainers });
        tls?.close();
      },
    };
  } catch (thrown) {
    tls?.close();
    throw thrown;
  }
}

async function loadTls(files: TlsFiles, io: Io): Promise<ReloadingTls | undefined> {
  if (files.certificateFile === undefined) return undefined;
  const { ReloadingTls } = await import('../pki/index.ts');
  return await ReloadingTls.load(files, { onError: ({ message }) => io.err.write(`podwire runtime: ${message}\n`) });
}
