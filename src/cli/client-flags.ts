import type { ServerOptions } from '../client/index.ts';
import { boolFlag, durationFlag, type Flag, type FlagValues, listFlag, stringFlag } from './flag.ts';
import { MAX_TIMER_MS } from './timeout-signal.ts';
import { UsageError } from './usage-error.ts';

/** Which cluster, as whom: kubectl's names and meanings, on every command that calls a server. */
export const clientFlags = {
  kubeconfig: stringFlag({
    value: 'FILE',
    source: 'file',
    help: 'the kubeconfig',
    shownDefault: '$KUBECONFIG, else ~/.kube/config',
  }),
  context: stringFlag({
    value: 'NAME',
    source: 'context',
    help: 'context of the kubeconfig',
    shownDefault: 'its current-context',
  }),
  cluster: stringFlag({ value: 'NAME', help: 'cluster of the kubeconfig' }),
  user: stringFlag({ value: 'NAME', help: 'user of the kubeconfig' }),
  namespace: stringFlag({
    short: 'n',
    value: 'NS',
    source: 'namespace',
    help: 'the namespace',
    shownDefault: "the context's, else default",
  }),
  server: stringFlag({ short: 's', value: 'URL', help: 'address of the apiserver' }),
  token: stringFlag({ value: 'TOKEN', help: 'bearer token' }),
  'certificate-authority': stringFlag({
    value: 'FILE',
    source: 'file',
    help: 'CA of the server, PEM; read again when it changes',
  }),
  'client-certificate': stringFlag({
    value: 'FILE',
    source: 'file',
    help: 'our certificate, PEM; read again when it changes',
  }),
  'client-key': stringFlag({ value: 'FILE', source: 'file', help: 'its key, PEM' }),
  'insecure-skip-tls-verify': boolFlag({ help: 'do not check who the server is: anybody can listen in then' }),
  'tls-server-name': stringFlag({
    value: 'NAME',
    help: "name in the server's certificate",
    shownDefault: 'the host of its address',
  }),
  as: stringFlag({ value: 'USER', help: 'act as this user' }),
  'as-group': listFlag({ value: 'GROUP', help: 'act as a member of this group; may be repeated' }),
  'as-uid': stringFlag({ value: 'UID', help: 'act as the user with this id' }),
  'request-timeout': timeoutFlag({
    help: 'longest time for one request that is no session, such as 5s or 5; 0 is the default',
    shownDefault: '30s',
  }),
} as const;

/** Where a session's flags go on top: straight to a kubelet. */
export const kubeletFlag = {
  kubelet: stringFlag({ value: 'URL', help: 'call this kubelet (https://NODE:10250) without an apiserver' }),
} as const;

export type ClientFlagValues = FlagValues<typeof clientFlags>;

/** The library's options for what the flags say. */
export function serverOptions(values: ClientFlagValues & { readonly kubelet?: string | undefined }): ServerOptions {
  const insecure = values['insecure-skip-tls-verify'];
  return {
    kubeconfig: values.kubeconfig,
    kubelet: values.kubelet,
    overrides: {
      context: values.context,
      cluster: values.cluster,
      user: values.user,
      namespace: values.namespace,
      server: values.server,
      token: values.token,
      certificateAuthority: values['certificate-authority'],
      clientCertificate: values['client-certificate'],
      clientKey: values['client-key'],
      insecureSkipTlsVerify: insecure ? true : undefined,
      tlsServerName: values['tls-server-name'],
      as: values.as,
      asGroups: values['as-group'].length === 0 ? undefined : values['as-group'],
      asUid: values['as-uid'],
    },
  };
}

/** What `--request-timeout` says, undefined for the default. */
export function requestTimeoutMs(values: ClientFlagValues): number | undefined {
  const ms = values['request-timeout'];
  return ms === undefined || ms <= 0 ? undefined : Math.min(ms, MAX_TIMER_MS);
}

/** A duration, or a number of seconds. */
function timeoutFlag(words: Parameters<typeof durationFlag>[0]): Flag<number | undefined> {
  const flag = durationFlag({ ...words, signed: true });
  return {
    ...flag,
    read: (text, before) => {
      if (text === '') return undefined;
      try {
        return flag.read(/^\+?\d+$/.test(text) ? `${text}s` : text, before);
      } catch {
        throw new UsageError(
          'Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a ' +
            'corresponding time unit (e.g. 1s | 2m | 3h)',
        );
      }
    },
  };
}
