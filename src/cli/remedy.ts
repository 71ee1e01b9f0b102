import type { ErrorCode, ExecPathError } from '../common/errors.ts';
import { kindOf } from './object-kinds.ts';

/** What a failure was about, so that a remedy can be a line to type. */
export interface FailureContext {
  readonly namespace?: string | undefined;
  readonly pod?: string | undefined;
  readonly container?: string | undefined;
  readonly program?: string | undefined;
}

type Remedy = (context: FailureContext, message: string) => string | undefined;

const inNamespace = ({ namespace }: FailureContext): string => (namespace === undefined ? '' : ` -n ${namespace}`);

/** TLS failures say themselves what to set. */
const TLS_WORDS = /certificate|TLS/;

const reviewRemedy: Remedy = () => 'check the way from the node to its apiserver: who may call is decided there';

/** An apiserver that cannot reach the node says so in a Status, before the upgrade or behind it. */
const nodeRemedy: Remedy = (context, message) => {
  if (/the kubelet cannot ask its apiserver/.test(message)) return reviewRemedy(context, message);
  if (!/error dialing backend|no preferred addresses/.test(message)) return undefined;
  return TLS_WORDS.test(message)
    ? 'give the kubelet and the apiserver certificates that the other trusts (--kubelet-certificate-authority)'
    : "check that the kubelet of the pod's node runs and that the apiserver reaches its address: podwire get nodes -o wide";
};

/** An apiserver says what it looked for, others say it of a pod. */
const missingRemedy: Remedy = (context, message) => {
  const [, type] = /^(?:error when \w+ ".*": )?(\S+) ".*" not found$/.exec(message) ?? [];
  const kind = kindOf(type ?? '');
  if (kind === undefined) {
    const isOfPods = context.pod !== undefined || context.namespace !== undefined;
    return isOfPods && type === undefined ? `look what there is: podwire get pods${inNamespace(context)}` : undefined;
  }
  const where = kind === 'nodes' || kind === 'namespaces' ? '' : inNamespace(context);
  return `look what there is: podwire get ${kind.toLowerCase()}${where}`;
};

const REFUSED_RIGHT = /cannot (\S+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?/;

/** An apiserver says which right is missing, others only that the session is refused. */
const rightsRemedy: Remedy = (context, message) => {
  const [, verb, resource, group, namespace] = REFUSED_RIGHT.exec(message) ?? [];
  if (verb !== undefined) return askFor(verb, `${resource}${group === '' ? '' : `.${group}`}`, namespace);
  return context.pod === undefined ? undefined : askFor('create', 'pods/exec', context.namespace);
};

const askFor = (verb: string, what: string, namespace: string | undefined): string =>
  `ask for the verb ${verb} on ${what}; to see what is allowed: kubectl auth can-i ${verb} ${what}${inNamespace({ namespace })}`;

const remedies: Readonly<Partial<Record<ErrorCode, Remedy>>> = {
  ERR_KUBECONFIG: () => 'name the file with --kubeconfig; `podwire up` writes one and prints its path',
  ERR_CREDENTIALS: () => 'log in anew, or pass --token or --client-certificate with --client-key',
  ERR_CERTIFICATE: (_context, message) =>
    /podwire certs|--server|there is no certificate/.test(message)
      ? undefined
      : 'check the files that the kubeconfig or the flags name',
  ERR_CERTIFICATE_EXISTS: () =>
    'renew what is there with `podwire certs renew`, or say --overwrite to issue it anew by the same authority',
  ERR_UNAUTHORIZED: () =>
    'log in: the server does not know who calls; choose other credentials with --context or --user',
  ERR_FORBIDDEN: rightsRemedy,
  ERR_NOT_FOUND: missingRemedy,
  ERR_POD_UNKNOWN: () => 'the pod may have moved to another node: try again in a moment',
  ERR_DIAL: (_context, message) =>
    TLS_WORDS.test(message)
      ? undefined
      : 'check that the hop runs, that its address and port are the ones above, and that the network leads there',
  ERR_API_TIMEOUT: () => 'look whether the hop is stalled or overloaded; --request-timeout allows it more time',
  ERR_REVIEW: reviewRemedy,
  ERR_DIAL_TIMEOUT: () => 'check the network between the hops; a proxy or a firewall may hold the connection',
  ERR_NO_COMMON_PROTOCOL: () => 'try the other transport: --transport spdy or --transport websocket',
  ERR_UPGRADE_REFUSED: (context, message) =>
    message.includes('container not found')
      ? `see why the container does not run: podwire describe pod ${context.pod ?? 'POD'}${inNamespace(context)}`
      : 'a proxy on the way may not know upgrades; try --transport spdy',
  ERR_CONNECTION_LOST: ({ pod }) =>
    pod === undefined ? undefined : 'the command may have gone on or not: look at what it did before you run it again',
  ERR_NO_STATUS: () => 'the command may have gone on or not: look at what it did before you run it again',
  ERR_KEEPALIVE_TIMEOUT: () => 'the network or a hop stalled; the command may have gone on',
  ERR_IDLE_TIMEOUT: () =>
    'the session was idle for too long: type or print something now and then, or raise the limit of the hop',
  ERR_API_STATUS: nodeRemedy,
  ERR_REMOTE: nodeRemedy,
  ERR_IMAGE_ARCHIVE: (_context, message) =>
    message.includes('cannot be read')
      ? undefined
      : 'make the archive anew, whole: docker save, skopeo copy docker://… oci-archive:…, ctr images export',
  ERR_IMAGE_DIGEST: () => 'the archive was changed or damaged on its way: get it again',
  ERR_IMAGE_SPACE: () => 'make room, or choose a folder on another disk with --state-dir',
  ERR_IMAGE_UNKNOWN: () => 'look what there is: podwire image ls',
  ERR_IMAGE_IN_USE: () =>
    'remove the pods that run it first, or say --force: their containers go on without a name for it',
  ERR_ISOLATION: (_context, message) =>
    /^(?:containers cannot be isolated here|no user namespace can be made)/.test(message)
      ? 'run it as root, or with --isolation off'
      : undefined,
  ERR_STATE_FOLDER: () => 'choose a folder that is yours, with the flag that names it',
  ERR_STATE_IN_USE: (_context, message) =>
    message.includes('data folder')
      ? 'stop the process that has it, or choose another folder with --data-dir'
      : 'stop the process that has it, or choose another folder with --state-dir',
  ERR_STORE_FULL: (_context, message) =>
    message.includes('disk')
      ? 'make room on the disk: writes go on by themselves then, and nothing that was confirmed is lost'
      : 'delete objects that nobody needs any more',
  ERR_STORE_FILE: (_context, message) =>
    message.includes('newer podwire')
      ? 'run that version, or choose another folder with --data-dir'
      : 'put a copy of the folder in its place, or choose another with --data-dir; nothing in it has been changed',
  ERR_STORE_UNAVAILABLE: (_context, message) =>
    message.includes('no binary')
      ? 'use --storage-backend=memory on this machine'
      : 'check that the store runs, that --etcd-servers names it, and that the network leads there',
  ERR_LISTEN: () => 'choose another port, or stop what listens there',
};

/** What to do about `error`, as a sentence; undefined when there is no advice that would be true. */
export function remedyFor(error: ExecPathError, context: FailureContext): string | undefined {
  return remedies[error.code]?.(context, error.message);
}

/** What to do when a command could not be started. */
export function startRemedy(code: 126 | 127, { pod, container, program = '', namespace }: FailureContext): string {
  const where = `${inNamespace({ namespace })} ${pod ?? 'POD'}${container === undefined ? '' : ` -c ${container}`}`;
  return code === 127
    ? `see whether the container has ${program}: podwire exec${where} -- ls -l /bin /usr/bin`
    : `see who may run it: podwire exec${where} -- ls -l ${program}`;
}
