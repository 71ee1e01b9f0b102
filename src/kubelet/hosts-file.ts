import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { toError } from '../common/errors.ts';
import type { Container, Pod } from '../kubeapi/index.ts';
import { manifestError } from './manifest-error.ts';
import { type PodFolders, podVolumesFolder } from './pod-folders.ts';
import { hostnameOf } from './pod-hostname.ts';

/** Where resolvers look for names before they ask anybody. */
const HOSTS = '/etc/hosts';

/** What stands before the pod's own name. */
const LOCAL_NAMES = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
`;

export interface HostsSources {
  readonly folders: PodFolders;
  /** Of the pod's present sandbox. */
  readonly podIPs: readonly string[];
  readonly clusterDomain?: string | undefined;
}

/** What a container is given at a path of its own. */
export interface FileMount {
  readonly hostPath: string;
  readonly containerPath: string;
}

/**
 * Writes the names that a container knows without DNS into the pod's folder. It is a new file each time: containers that
 * run keep theirs, and nobody ever reads half of one.
 *
 * @returns nothing where the container mounts something there itself, and while a pod with a network of its own has no
 * address
 * @throws ExecPathError ERR_MANIFEST when the file cannot be written
 * @see kubernetes pkg/kubelet/kubelet_pods.go, ensureHostsFile
 */
export async function hostsMount(
  pod: Pod,
  container: Container,
  { folders, podIPs, clusterDomain }: HostsSources,
): Promise<readonly FileMount[]> {
  const isOwn = (container.volumeMounts ?? []).some(({ mountPath }) => posix.resolve('/', mountPath) === HOSTS);
  const onHost = pod.spec.hostNetwork === true;
  if (isOwn || (!onHost && podIPs.length === 0)) return [];
  const folder = podVolumesFolder(folders, pod.metadata.uid ?? '');
  // No volume's name begins so.
  const path = `${folder}/.hosts`;
  try {
    await mkdir(folder, { recursive: true, mode: 0o750 });
    const fresh = `${path}.new`;
    await writeFile(fresh, onHost ? await nodeHosts(pod) : podHosts(pod, podIPs, clusterDomain));
    await chmod(fresh, 0o644);
    await rename(fresh, path);
  } catch (cause) {
    throw manifestError(`hosts file: ${toError(cause).message}`, cause);
  }
  return [{ hostPath: path, containerPath: HOSTS }];
}

/** The hosts file of a pod with a network of its own. */
export function podHosts(pod: Pod, podIPs: readonly string[], clusterDomain?: string): string {
  const { hostname, domain } = hostnameOf(pod, clusterDomain);
  const names = domain === '' ? hostname : `${hostname}.${domain}\t${hostname}`;
  const own = podIPs.map((ip) => `${ip}\t${names}\n`).join('');
  return `# Kubernetes-managed hosts file.\n${LOCAL_NAMES}${own}${aliasLines(pod)}`;
}

/** On the host's network the node's names are the pod's. */
async function nodeHosts(pod: Pod): Promise<string> {
  const ofNode = await readFile(HOSTS, 'utf8').catch(unlessMissing);
  return `# Kubernetes-managed hosts file (host network).\n${ofNode}${aliasLines(pod)}`;
}

function unlessMissing(thrown: unknown): string {
  if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return '';
  throw thrown;
}

function aliasLines({ spec }: Pod): string {
  const aliases = spec.hostAliases ?? [];
  const lines = aliases.map(({ ip, hostnames = [] }) => `${ip}\t${hostnames.join('\t')}\n`);
  return aliases.length === 0 ? '' : `\n# Entries added by HostAliases.\n${lines.join('')}`;
}
