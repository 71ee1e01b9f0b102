import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { KubeClient } from '../kubeapi/index.ts';
import type { KubeletOptions } from '../kubelet/index.ts';
import type { ReloadingTls } from '../pki/index.ts';
import { defineCommand } from './command.ts';
import type { FlagValues } from './flag.ts';
import { withoutUndefined } from './given-options.ts';
import type { Io } from './io.ts';
import { accessFlags, nodeFlags, servingFlags } from './kubelet-flags.ts';
import type { OwnCertificates } from './own-certificates.ts';
import { type ServedHop, serveUntilStopped } from './serve-until-stopped.ts';
import { makeStateFolder, stateFolder } from './state-folder.ts';
import { UsageError } from './usage-error.ts';

const flags = { ...nodeFlags, ...servingFlags, ...accessFlags } as const;

type Values = FlagValues<typeof flags>;

interface KubeletCommandOptions {
  readonly args: readonly string[];
  readonly values: Values;
  readonly rootDir: string;
}

export const kubeletCommand = defineCommand({
  name: 'kubelet',
  summary: "Hop 3: a node's agent before any CRI runtime",
  usage: '[flags]',
  description: `
Runs the pods that an apiserver binds to its node, or static ones, and serves exec in them and in the pods that
already run in the runtime. Without --tls-cert-file it makes an authority of its own; without --client-ca-file
too it prints the path of a kubeconfig for podwire exec --kubelet. Prints "ready" with its address.`,
  examples: [
    { about: 'exec into the pods of a containerd, without a control plane', line: 'podwire kubelet' },
    {
      about: 'a node of a cluster',
      line: 'podwire kubelet --kubeconfig node.kubeconfig --client-ca-file ca.crt --container-runtime-endpoint unix:///run/podwire.sock',
    },
  ],
  groups: [
    { title: 'Node', flags: nodeFlags },
    { title: 'Serving', flags: servingFlags },
    { title: 'Who may call', flags: accessFlags },
  ],
  flags,
  complete: ({ args, values }, io): KubeletCommandOptions => ({
    args,
    values,
    rootDir: values['root-dir'] ?? join(stateFolder(io), 'kubelet'),
  }),
  validate: ({ args, values }) => {
    if (args.length > 0) throw new UsageError(`kubelet takes no argument, got ${JSON.stringify(args[0])}`);
    if ((values['tls-cert-file'] === undefined) !== (values['tls-private-key-file'] === undefined)) {
      throw new UsageError('--tls-cert-file and --tls-private-key-file go together: give both or none');
    }
    if (values['authorization-mode'] === 'Webhook' && values.kubeconfig === undefined) {
      throw new UsageError('--authorization-mode Webhook needs --kubeconfig: the apiserver is asked');
    }
    for (const name of ['address', 'node-ip'] as const) {
      const address = values[name];
      // In a unit '' is what a variable comes to that nobody has set, and would listen everywhere.
      if (address !== undefined && isIP(address) === 0) {
        throw new UsageError(`--${name} ${JSON.stringify(address)} is no IP address`);
      }
    }
    const noAddress = values['cluster-dns'].find((address) => isIP(address) === 0);
    if (noAddress !== undefined) {
      throw new UsageError(`--cluster-dns has ${JSON.stringify(noAddress)}, which is no IP address`);
    }
    const { 'cluster-domain': domain = '' } = values;
    if (domain !== '' && !/^[\w-]+(\.[\w-]+)*$/.test(domain)) {
      throw new UsageError(`--cluster-domain ${JSON.stringify(domain)} is no domain`);
    }
    const wrong = values['node-labels'].find((label) => !/^[^=]+=[^=]*$/.test(label));
    if (wrong !== undefined) throw new UsageError(`--node-labels has ${JSON.stringify(wrong)}, which is not KEY=VALUE`);
  },
  run: (options, io) => serveUntilStopped(io, () => serve(options, io)),
});

async function serve({ values, rootDir }: KubeletCommandOptions, io: Io): Promise<ServedHop> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).toReversed()) await closer();
  };
  const onError = (message: string): void => void io.err.write(`podwire kubelet: ${message}\n`);
  try {
    const { startKubelet } = await import('../kubelet/index.ts');
    const { kubeletAccess } = await import('./kubelet-access.ts');
    const certDir = values['cert-dir'] ?? join(rootDir, 'pki');
    await makeStateFolder(rootDir, 0o755);
    await makeStateFolder(certDir);
    const { tls, own } = await certificates(values, certDir, { closers, onError });
    const client = await apiserverClient(values, closers);
    const nodeName = nodeNameOf(values);
    const kubelet = await startKubelet({
      ...optionsOf(values, rootDir),
      nodeName,
      tls,
      ...kubeletAccess({
        mode: values['authorization-mode'] || (client === undefined ? 'BuiltIn' : 'Webhook'),
        anonymousAuth: values['anonymous-auth'],
        tokenWebhook: values['authentication-token-webhook'],
        nodeName,
        client,
        times: {
          tokenMs: values['authentication-token-webhook-cache-ttl'],
          allowedMs: values['authorization-webhook-cache-authorized-ttl'],
          refusedMs: values['authorization-webhook-cache-unauthorized-ttl'],
        },
      }),
      ...(client === undefined ? {} : { apiserver: client }),
      version: io.version,
      onError,
    });
    closers.push(() => kubelet.close(values['shutdown-grace']));
    const { writeAdminKubeconfig } = await import('./own-certificates.ts');
    const trustsOwn = own !== undefined && values['client-ca-file'] === undefined;
    const server = `https://127.0.0.1:${kubelet.port}`;
    const lines = trustsOwn ? [`kubeconfig ${await writeAdminKubeconfig(rootDir, server, own)}`] : [];
    return { lines: [...lines, `ready ${kubelet.url}`], close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/** As the kubelet names its node by default. */
function nodeNameOf(values: Values): string {
  return values['hostname-override'] ?? hostname().toLowerCase();
}

interface Surroundings {
  readonly closers: (() => unknown)[];
  readonly onError: (message: string) => void;
}

async function certificates(
  values: Values,
  certDir: string,
  { closers, onError }: Surroundings,
): Promise<{ tls: ReloadingTls; own: OwnCertificates | undefined }> {
  const { ReloadingTls, renewRegularly } = await import('../pki/index.ts');
  const { ownCertificates } = await import('./own-certificates.ts');
  const onProblem = ({ message }: Error): void => onError(message);
  const hosts = [values.address ?? '', values['node-ip'] ?? '', nodeNameOf(values)];
  const issue = (): Promise<OwnCertificates> => ownCertificates(certDir, { hop: 'kubelet', hosts });
  const own = values['tls-cert-file'] === undefined ? await issue() : undefined;
  if (own !== undefined) {
    const renewal = renewRegularly(issue, { onError: onProblem });
    closers.push(() => renewal[Symbol.dispose]());
  }
  const files = {
    certificateFile: values['tls-cert-file'] ?? own?.serving.certificateFile,
    keyFile: values['tls-private-key-file'] ?? own?.serving.keyFile,
    caFile: values['client-ca-file'] ?? own?.caFile,
  };
  const tls = await ReloadingTls.load(files, { onError: onProblem });
  closers.push(() => tls.close());
  return { tls, own };
}

async function apiserverClient(values: Values, closers: (() => unknown)[]): Promise<KubeClient | undefined> {
  const { kubeconfig } = values;
  if (kubeconfig === undefined) return undefined;
  const { createTransport, KubeClient, loadClientConfig } = await import('../kubeapi/index.ts');
  const client = new KubeClient(createTransport(await loadClientConfig({ kubeconfig })));
  closers.push(() => client.close());
  return client;
}

function optionsOf(
  values: Values,
  rootDir: string,
): Omit<KubeletOptions, 'authenticate' | 'authorize' | 'version' | 'nodeName'> {
  const healthzPort = values['healthz-port'];
  const labels = values['node-labels'].map((label) => label.split('=', 2) as [string, string]);
  return {
    containerRuntimeEndpoint: values['container-runtime-endpoint'] ?? '',
    rootDir,
    nodeLabels: Object.fromEntries(labels),
    dns: {
      clusterDns: values['cluster-dns'],
      clusterDomain: values['cluster-domain'] ?? '',
      ...withoutUndefined({ resolvConf: values['resolv-conf'] }),
    },
    ...withoutUndefined({
      podLogsDir: values['pod-logs-dir'],
      nodeAddress: values['node-ip'],
      host: values.address,
      port: values.port,
      healthzPort: healthzPort === 0 ? undefined : healthzPort,
      podManifestPath: values['pod-manifest-path'],
      syncPeriodMs: values['sync-frequency'],
      heartbeatMs: values['node-status-update-frequency'],
    }),
  };
}
