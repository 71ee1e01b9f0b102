import { join } from 'node:path';
import type { Apiserver, ApiserverOptions, ConnectEnd, KubeletDialerOptions } from '../apiserver/index.ts';
import { ExecPathError } from '../common/errors.ts';
import type { NodeAddressType } from '../kubeapi/index.ts';
import type { StoreOptions } from '../store/index.ts';
import { accessFlags, controllerFlags, limitFlags, nodeFlags, servingFlags, upstreamFlags } from './apiserver-flags.ts';
import { defineCommand } from './command.ts';
import type { FlagValues } from './flag.ts';
import { withoutUndefined } from './given-options.ts';
import type { Io } from './io.ts';
import type { OwnCertificates } from './own-certificates.ts';
import { type ServedHop, serveUntilStopped } from './serve-until-stopped.ts';
import { makeStateFolder, stateFolder } from './state-folder.ts';
import { storageFlags, storeOptions, validateStorage } from './storage-flags.ts';
import { UsageError } from './usage-error.ts';

const flags = {
  ...servingFlags,
  ...storageFlags,
  ...accessFlags,
  ...nodeFlags,
  ...controllerFlags,
  ...upstreamFlags,
  ...limitFlags,
} as const;

type Values = FlagValues<typeof flags>;

interface ApiserverCommandOptions {
  readonly args: readonly string[];
  readonly values: Values;
  readonly certDir: string;
}

export const apiserverCommand = defineCommand({
  name: 'apiserver',
  summary: 'Hop 2: the part of the Kubernetes API that exec needs',
  usage: '[flags]',
  description: `
Serves namespaces, pods, nodes, leases, events, service accounts and reviews, and relays exec, attach and
port-forward to kubelets. Objects outlive the process: --storage-backend says where they are kept. Without
--tls-cert-file it makes an authority of its own and prints the path of a kubeconfig. Prints "ready" with its
address when it listens.

With --upstream-kubeconfig it stands before the apiserver of a cluster: that one keeps the objects and says
who may do what, and every request is passed on with its caller's identity.`,
  examples: [
    { about: 'on loopback, with certificates of its own', line: 'podwire apiserver' },
    {
      about: 'with your certificates',
      line: 'podwire apiserver --bind-address 10.0.0.1 --tls-cert-file s.crt --tls-private-key-file s.key --client-ca-file ca.crt',
    },
    {
      about: 'one of several that share their objects',
      line: 'podwire apiserver --etcd-servers https://10.0.0.5:2379,https://10.0.0.6:2379 --etcd-cafile ca.crt --etcd-certfile c.crt --etcd-keyfile c.key',
    },
    { about: 'before a real cluster', line: 'podwire apiserver --upstream-kubeconfig ~/.kube/config' },
  ],
  groups: [
    { title: 'Serving', flags: servingFlags },
    { title: 'Objects', flags: storageFlags },
    { title: 'Who may call', flags: accessFlags },
    { title: 'Kubelets', flags: nodeFlags },
    { title: 'Controllers', flags: controllerFlags },
    { title: 'Before a cluster', flags: upstreamFlags },
    { title: 'Limits', flags: limitFlags },
  ],
  flags,
  complete: ({ args, values }, io): ApiserverCommandOptions => ({
    args,
    values,
    certDir: values['cert-dir'] ?? join(stateFolder(io), 'apiserver'),
  }),
  validate: ({ args, values }) => {
    if (args.length > 0) throw new UsageError(`apiserver takes no argument, got ${JSON.stringify(args[0])}`);
    if ((values['tls-cert-file'] === undefined) !== (values['tls-private-key-file'] === undefined)) {
      throw new UsageError('--tls-cert-file and --tls-private-key-file go together: give both or none');
    }
    if (values['upstream-credentials'] === 'caller' && values['upstream-streams'] === 'kubelet') {
      throw new UsageError(
        '--upstream-streams=kubelet needs --upstream-credentials=impersonate: the cluster is asked what a caller may do by its name',
      );
    }
    validateStorage(values);
    const types = values['kubelet-preferred-address-types'];
    const strange = types.find((type) => !(addressTypes as readonly string[]).includes(type));
    const controller = values.controllers.find((word) => !isControllerWord(word));
    if (controller !== undefined) {
      throw new UsageError(
        `--controllers has ${JSON.stringify(controller)}: there are ${controllers.join(', ')} and *`,
      );
    }
    if (strange !== undefined) {
      throw new UsageError(
        `--kubelet-preferred-address-types has ${JSON.stringify(strange)}: there are ${addressTypes.join(', ')}`,
      );
    }
  },
  run: (options, io) => serveUntilStopped(io, () => serve(options, io)),
});

const addressTypes: readonly NodeAddressType[] = ['Hostname', 'InternalDNS', 'InternalIP', 'ExternalDNS', 'ExternalIP'];

const controllers = ['scheduler', 'namespace', 'nodelifecycle'] as const;

function isControllerWord(word: string): boolean {
  return word === '*' || (controllers as readonly string[]).includes(word.replace(/^-/, ''));
}

async function serve({ values, certDir }: ApiserverCommandOptions, io: Io): Promise<ServedHop> {
  const { ownCertificates, writeAdminKubeconfig } = await import('./own-certificates.ts');
  const { renewRegularly } = await import('../pki/index.ts');
  const onProblem = ({ message }: Error): void => void io.err.write(`podwire apiserver: ${message}\n`);
  const issue = (): Promise<OwnCertificates> =>
    ownCertificates(certDir, { hop: 'apiserver', hosts: [values['bind-address'] ?? ''] });
  if (values['data-dir'] !== undefined) await makeStateFolder(values['data-dir']);
  if (values['tls-cert-file'] === undefined) await makeStateFolder(certDir);
  const own = values['tls-cert-file'] === undefined ? await issue() : undefined;
  const renewal = own && renewRegularly(issue, { onError: onProblem });
  try {
    const apiserver = await startServer(values, own, { certDir, onProblem });
    const { address, insecureAddress } = apiserver;
    const ready = address ?? insecureAddress;
    if (ready === undefined) throw new ExecPathError('ERR_INTERNAL', 'an apiserver that listens nowhere');
    const trustsOwn = own !== undefined && values['client-ca-file'] === undefined;
    const kubeconfig = trustsOwn && [`kubeconfig ${await writeAdminKubeconfig(certDir, urlOf(ready), own)}`];
    const plain = insecureAddress === undefined ? [] : [`insecure ${insecureAddress.url}`];
    return {
      lines: [...(kubeconfig || []), ...plain, `ready ${ready.url}`],
      close: async () => {
        renewal?.[Symbol.dispose]();
        await apiserver.close();
      },
    };
  } catch (thrown) {
    renewal?.[Symbol.dispose]();
    throw thrown;
  }
}

/** With objects of its own, or before a cluster. */
type Server = Pick<Apiserver, 'address' | 'insecureAddress' | 'close'>;

interface Surroundings {
  readonly certDir: string;
  readonly onProblem: (problem: Error) => void;
}

async function startServer(
  values: Values,
  own: OwnCertificates | undefined,
  { certDir, onProblem }: Surroundings,
): Promise<Server> {
  const { startGateway } = await import('../apiserver/index.ts');
  const options = { ...optionsOf(values, own), onProblem };
  const kubeconfig = values['upstream-kubeconfig'];
  if (kubeconfig === undefined) {
    const place = storeOptions(values, { storageBackend: 'embedded', dataDir: join(certDir, 'store') }, onProblem);
    return await startWithStore({ ...options, ...(await connectOptions(values, own)) }, place);
  }
  const { loadClientConfig } = await import('../kubeapi/index.ts');
  const upstream = await loadClientConfig({ kubeconfig, overrides: { context: values['upstream-context'] } });
  const streams = values['upstream-streams'] === 'kubelet' ? await connectOptions(values, own) : {};
  const { kubeletPort, kubeletPreferredAddressTypes: preferredAddressTypes } = options;
  const location = withoutUndefined({ kubeletPort, preferredAddressTypes });
  const credentials = withoutUndefined({ upstreamCredentials: values['upstream-credentials'] });
  return await startGateway({ ...options, ...streams, ...credentials, upstream, location });
}

async function startWithStore(options: ApiserverOptions, place: StoreOptions): Promise<Server> {
  const { startApiserver } = await import('../apiserver/index.ts');
  const { openStore } = await import('../store/index.ts');
  const store = await openStore(place);
  try {
    const apiserver = await startApiserver({ ...options, store });
    const { address, insecureAddress } = apiserver;
    const close = async (): Promise<void> => {
      await apiserver.close();
      await store.close();
    };
    return { address, insecureAddress, close };
  } catch (thrown) {
    await store.close();
    throw thrown;
  }
}

/** What a client on this machine calls. */
function urlOf({ host, port, url }: { readonly host: string; readonly port: number; readonly url: string }): string {
  return host === '0.0.0.0' || host === '::' ? `https://127.0.0.1:${port}` : url;
}

function optionsOf(values: Values, own: OwnCertificates | undefined): ApiserverOptions {
  return withoutUndefined({
    bindAddress: values['bind-address'],
    securePort: values['secure-port'],
    tlsCertFile: values['tls-cert-file'] ?? own?.serving.certificateFile,
    tlsPrivateKeyFile: values['tls-private-key-file'] ?? own?.serving.keyFile,
    clientCaFile: values['client-ca-file'] ?? own?.caFile,
    insecurePort: values['insecure-port'],
    shutdownGraceMs: values['shutdown-grace'],
    tokenAuthFile: values['token-auth-file'],
    anonymousAuth: values['anonymous-auth'],
    authorizationMode: values['authorization-mode'],
    corsAllowedOrigins: values['cors-allowed-origins'],
    kubeletPreferredAddressTypes: preferred(values),
    kubeletPort: values['kubelet-port'],
    requestTimeoutMs: values['request-timeout'],
    minRequestTimeoutMs: values['min-request-timeout'],
    maxRequestsInFlight: values['max-requests-inflight'],
    eventTtlMs: values['event-ttl'],
    controllers: controllers.filter(
      (name) =>
        values.controllers.includes(name) ||
        (values.controllers.includes('*') && !values.controllers.includes(`-${name}`)),
    ),
    nodeMonitorGraceMs: values['node-monitor-grace-period'],
    nodeMonitorPeriodMs: values['node-monitor-period'],
  });
}

/** `validate` has looked at each word. */
function preferred(values: Values): readonly NodeAddressType[] | undefined {
  const types = addressTypes.filter((type) => values['kubelet-preferred-address-types'].includes(type));
  const order = values['kubelet-preferred-address-types'];
  return types.length === 0 ? undefined : types.sort((a, b) => order.indexOf(a) - order.indexOf(b));
}

async function connectOptions(
  values: Values,
  own: OwnCertificates | undefined,
): Promise<Pick<ApiserverOptions, 'onConnect' | 'dialKubelet'>> {
  const { createStreamingHandler, kubeletDialer } = await import('../apiserver/index.ts');
  const dialer: KubeletDialerOptions = withoutUndefined({
    clientCertificateFile: values['kubelet-client-certificate'] ?? own?.client.certificateFile,
    clientKeyFile: values['kubelet-client-key'] ?? own?.client.keyFile,
    certificateAuthorityFile: values['kubelet-certificate-authority'],
    timeoutMs: values['kubelet-timeout'],
  });
  const { channel } = await import('node:diagnostics_channel');
  const ends = channel('podwire:apiserver:session');
  const onEnd = ({ connect, how, bytesUp, bytesDown }: ConnectEnd): void => {
    const { auditId, namespace, pod } = connect;
    ends.publish({ auditId, namespace, pod, how, bytesUp, bytesDown });
  };
  const dialKubelet = kubeletDialer(dialer);
  return { dialKubelet, onConnect: createStreamingHandler(dialKubelet, onEnd) };
}
