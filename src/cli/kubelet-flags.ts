import { boolFlag, choiceFlag, durationFlag, intFlag, listFlag, stringFlag } from './flag.ts';

/** The kubelet's own names and meanings. */
export const nodeFlags = {
  'container-runtime-endpoint': stringFlag({
    value: 'URL',
    help: 'unix:///PATH or tcp://HOST:PORT of the CRI runtime',
    initial: 'unix:///run/containerd/containerd.sock',
  }),
  kubeconfig: stringFlag({
    value: 'FILE',
    source: 'file',
    help: 'the apiserver to register with; without it the kubelet stands alone and adopts the pods of the runtime',
  }),
  'hostname-override': stringFlag({ value: 'NAME', help: 'name of the node', shownDefault: "the machine's" }),
  'node-ip': stringFlag({ value: 'IP', help: 'address of the node', shownDefault: 'the first that is not loopback' }),
  'node-labels': listFlag({ value: 'KEY=VALUE,…', split: true, help: 'labels of the node' }),
  'pod-manifest-path': stringFlag({ value: 'DIR', source: 'folder', help: 'folder of static pods' }),
  'root-dir': stringFlag({
    value: 'DIR',
    source: 'folder',
    help: 'volumes, logs, certificates',
    shownDefault: "the user's state folder, kubelet",
  }),
  'pod-logs-dir': stringFlag({
    value: 'DIR',
    source: 'folder',
    help: 'logs of containers',
    shownDefault: '<root-dir>/logs',
  }),
  'cluster-dns': listFlag({
    value: 'IP,…',
    split: true,
    help: "DNS servers of the cluster, for pods of dnsPolicy ClusterFirst; without any they ask the node's",
  }),
  'cluster-domain': stringFlag({
    value: 'DOMAIN',
    help: 'domain of the cluster, in which its DNS has services and pods',
  }),
  'resolv-conf': stringFlag({
    value: 'FILE',
    source: 'file',
    help: "what pods' own resolver configuration is made of; '' for one that finds no names",
    initial: '/etc/resolv.conf',
  }),
  'node-status-update-frequency': durationFlag({
    help: 'how often the apiserver hears of the node; below a third of its --node-monitor-grace-period',
    shownDefault: '10s',
  }),
  'sync-frequency': durationFlag({ help: 'how often pods are compared with what is wanted', shownDefault: '10s' }),
} as const;

export const servingFlags = {
  address: stringFlag({ value: 'IP', help: 'address to listen on', initial: '127.0.0.1' }),
  port: intFlag({ value: 'PORT', help: 'port for https; 0 for any free one', initial: 10_250, min: 0, max: 65_535 }),
  'healthz-port': intFlag({
    value: 'PORT',
    help: 'http on 127.0.0.1 for /healthz; 0 for none',
    initial: 10_248,
    min: 0,
    max: 65_535,
  }),
  'cert-dir': stringFlag({
    value: 'DIR',
    source: 'folder',
    help: 'where the authority and the certificates lie that are made when --tls-cert-file is not given',
    shownDefault: '<root-dir>/pki',
  }),
  'tls-cert-file': stringFlag({
    value: 'FILE',
    source: 'file',
    help: 'serving certificate, PEM; read again when it changes',
  }),
  'tls-private-key-file': stringFlag({ value: 'FILE', source: 'file', help: 'its key, PEM' }),
  'shutdown-grace': durationFlag({ help: 'how long a stop lets sessions finish', shownDefault: '0s' }),
} as const;

export const accessFlags = {
  'client-ca-file': stringFlag({
    value: 'FILE',
    source: 'file',
    help: 'CA of client certificates: CN is the user, O are the groups',
    shownDefault: 'the one in --cert-dir',
  }),
  'anonymous-auth': boolFlag({ help: 'let callers without credentials in as system:anonymous' }),
  'authentication-token-webhook': boolFlag({
    help: 'ask the apiserver whose a bearer token is; needs --kubeconfig',
    initial: true,
  }),
  'authorization-mode': choiceFlag(['', 'Webhook', 'BuiltIn', 'AlwaysAllow'], {
    value: 'MODE',
    help: 'Webhook asks the apiserver for nodes/proxy; BuiltIn lets the group system:masters in; AlwaysAllow everybody known',
    shownDefault: 'Webhook with --kubeconfig, else BuiltIn',
  }),
  'authentication-token-webhook-cache-ttl': durationFlag({
    help: "how long the apiserver's word on a token counts; 0 for not at all",
    shownDefault: '2m',
  }),
  'authorization-webhook-cache-authorized-ttl': durationFlag({ help: 'the same for its yes', shownDefault: '5m' }),
  'authorization-webhook-cache-unauthorized-ttl': durationFlag({ help: 'the same for its no', shownDefault: '30s' }),
} as const;
