import { boolFlag, choiceFlag, durationFlag, intFlag, listFlag, stringFlag } from './flag.ts';

/** kube-apiserver's names and meanings; `--insecure-port` and `--shutdown-grace` are podwire's own. */
export const servingFlags = {
  'bind-address': stringFlag({ value: 'IP', help: 'address to listen on', initial: '127.0.0.1' }),
  'secure-port': intFlag({
    value: 'PORT',
    help: 'port for https; 0 for any free one',
    initial: 6443,
    min: 0,
    max: 65_535,
  }),
  'cert-dir': stringFlag({
    value: 'DIR',
    source: 'folder',
    help: 'where the authority and the certificates lie that are made when --tls-cert-file is not given',
    shownDefault: "the user's state folder, apiserver",
  }),
  'tls-cert-file': stringFlag({
    value: 'FILE',
    source: 'file',
    help: 'serving certificate, PEM; read again when it changes',
  }),
  'tls-private-key-file': stringFlag({ value: 'FILE', source: 'file', help: 'its key, PEM' }),
  'insecure-port': intFlag({
    value: 'PORT',
    help: 'plain http on this port of 127.0.0.1 as well; 0 for any free one',
    min: 0,
    max: 65_535,
  }),
  'shutdown-grace': durationFlag({ help: 'how long a stop lets requests and sessions finish', shownDefault: '5s' }),
} as const;

export const accessFlags = {
  'client-ca-file': stringFlag({
    value: 'FILE',
    source: 'file',
    help: 'CA of client certificates: CN is the user, O are the groups',
    shownDefault: 'the one in --cert-dir',
  }),
  'token-auth-file': stringFlag({ value: 'FILE', source: 'file', help: 'CSV with token,user,uid,"group1,group2"' }),
  'anonymous-auth': boolFlag({ help: 'let callers without credentials in as system:anonymous' }),
  'authorization-mode': choiceFlag(['BuiltIn', 'AlwaysAllow'], {
    help: 'BuiltIn: system:masters may do everything, nodes what is theirs, others discover',
  }),
  'cors-allowed-origins': listFlag({ value: 'REGEXP,…', split: true, help: 'origins whose pages may open sessions' }),
} as const;

export const nodeFlags = {
  'kubelet-certificate-authority': stringFlag({
    value: 'FILE',
    source: 'file',
    help: 'CA of the kubelets; without it they are not checked, as upstream does',
  }),
  'kubelet-client-certificate': stringFlag({
    value: 'FILE',
    source: 'file',
    help: 'certificate to show to kubelets',
    shownDefault: 'one of the authority in --cert-dir',
  }),
  'kubelet-client-key': stringFlag({ value: 'FILE', source: 'file', help: 'its key' }),
  'kubelet-preferred-address-types': listFlag({
    value: 'TYPE,…',
    split: true,
    help: 'which address of a node is called',
    shownDefault: 'Hostname,InternalDNS,InternalIP,ExternalDNS,ExternalIP',
  }),
  'kubelet-port': intFlag({
    value: 'PORT',
    help: 'for nodes that do not name theirs',
    min: 1,
    max: 65_535,
    shownDefault: '10250',
  }),
  'kubelet-timeout': durationFlag({ help: 'longest time for a connection to a kubelet', shownDefault: '5s' }),
} as const;

/** podwire's own: this apiserver before the one of a cluster. */
export const upstreamFlags = {
  'upstream-kubeconfig': stringFlag({
    value: 'FILE',
    source: 'file',
    help: 'stand before the apiserver that this kubeconfig names, and keep no objects',
  }),
  'upstream-context': stringFlag({
    value: 'NAME',
    help: 'context of that kubeconfig',
    shownDefault: 'its current one',
  }),
  'upstream-credentials': choiceFlag(['impersonate', 'caller'], {
    help: "impersonate: act as the caller by the kubeconfig's user; caller: pass the caller's bearer token on",
  }),
  'upstream-streams': choiceFlag(['apiserver', 'kubelet'], {
    help: "exec, attach and port-forward go to the cluster's apiserver, or straight to the pod's kubelet",
  }),
} as const;

/** kube-controller-manager's names and meanings. */
export const controllerFlags = {
  controllers: listFlag({
    value: 'NAME,…',
    split: true,
    initial: ['*'],
    help: "what it does beside serving: scheduler, namespace, nodelifecycle; '*' is all, '-NAME' not that one",
  }),
  'node-monitor-grace-period': durationFlag({
    help: 'how long a node may be silent before it is not ready and sessions to it fail at once',
    shownDefault: '50s',
  }),
  'node-monitor-period': durationFlag({ help: 'how often it is looked for silent nodes', shownDefault: '5s' }),
} as const;

export const limitFlags = {
  'request-timeout': durationFlag({
    help: 'longest time for a request that is no watch and no session',
    shownDefault: '30s',
  }),
  'min-request-timeout': durationFlag({ help: 'shortest time of a watch that names none', shownDefault: '30m' }),
  'max-requests-inflight': intFlag({
    help: 'requests at once, watches and sessions not counted',
    min: 1,
    shownDefault: '400',
  }),
  'event-ttl': durationFlag({ help: 'how long events are kept', shownDefault: '1h' }),
} as const;
