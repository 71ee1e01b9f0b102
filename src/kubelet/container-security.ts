import {
  type CriClient,
  type LinuxContainerSecurityContext,
  type SecurityProfile,
  SecurityProfile_ProfileType,
  SupplementalGroupsPolicy,
} from '../cri/index.ts';
import type { Container, Pod, PodSecurityContext, SeccompProfile, SecurityContext } from '../kubeapi/index.ts';
import { manifestError } from './manifest-error.ts';

type ContainerConfig = NonNullable<Parameters<CriClient['runtime']['createContainer']>[0]['config']>;
type Context = NonNullable<NonNullable<ContainerConfig['linux']>['securityContext']>;
type LinuxSecurityContext = Exclude<Context, LinuxContainerSecurityContext>;
type Profile = Exclude<NonNullable<LinuxSecurityContext['seccomp']>, SecurityProfile>;

/** What an image says of who its processes are: a number, a name, or neither, which is root. */
export interface ImageUser {
  readonly uid?: bigint | undefined;
  readonly username?: string | undefined;
}

/** Where profiles of the node are, by their names in pods. Upstream's default. */
const SECCOMP_FOLDER = '/var/lib/kubelet/seccomp';

/**
 * Who a container's processes are and what they may do, its namespaces left out.
 *
 * @throws ExecPathError ERR_MANIFEST for a profile without a name
 * @see kubernetes pkg/kubelet/kuberuntime/security_context.go
 */
export function containerSecurity(pod: Pod, container: Container): LinuxSecurityContext {
  const security = securityOf(pod, container);
  const { runAsUser, runAsGroup, capabilities, seLinuxOptions } = security;
  const { supplementalGroupsPolicy: policy } = { ...pod.spec.securityContext };
  return {
    privileged: security.privileged === true,
    readonlyRootfs: security.readOnlyRootFilesystem === true,
    noNewPrivs: security.allowPrivilegeEscalation === false,
    ...(runAsUser === undefined ? {} : { runAsUser: { value: BigInt(runAsUser) } }),
    ...(runAsGroup === undefined ? {} : { runAsGroup: { value: BigInt(runAsGroup) } }),
    supplementalGroups: groupsOf(pod).map(BigInt),
    ...(policy === undefined ? {} : { supplementalGroupsPolicy: SupplementalGroupsPolicy[policy] }),
    capabilities: {
      addCapabilities: [...(capabilities?.add ?? [])],
      dropCapabilities: [...(capabilities?.drop ?? [])],
    },
    ...(seLinuxOptions === undefined ? {} : { selinuxOptions: seLinuxOptions }),
    seccomp: profileOf('seccompProfile', security.seccompProfile ?? { type: 'Unconfined' }, `${SECCOMP_FOLDER}/`),
    ...(security.appArmorProfile === undefined ? {} : appArmorOf(security.appArmorProfile)),
  };
}

/**
 * A container that is not to be root is not started as root.
 *
 * @throws ExecPathError ERR_MANIFEST in upstream's words
 * @see kubernetes pkg/kubelet/kuberuntime/security_context.go, verifyRunAsNonRoot
 */
export function assertNotRoot(pod: Pod, container: Container, { uid, username = '' }: ImageUser): void {
  const { runAsNonRoot, runAsUser } = securityOf(pod, container);
  if (runAsNonRoot !== true) return;
  const { name, namespace = 'default', uid: podUid = '' } = pod.metadata;
  const who = `(pod: ${JSON.stringify(`${name}_${namespace}(${podUid})`)}, container: ${container.name})`;
  if (runAsUser !== undefined) {
    if (runAsUser === 0) throw manifestError(`container's runAsUser breaks non-root policy ${who}`);
  } else if (uid === undefined && username !== '') {
    const rule = `image has non-numeric user (${username}), cannot verify user is non-root`;
    throw manifestError(`container has runAsNonRoot and ${rule} ${who}`);
  } else if ((uid ?? 0n) === 0n) throw manifestError(`container has runAsNonRoot and image will run as root ${who}`);
}

/** What the container says, and for the rest what its pod says. */
function securityOf(pod: Pod, container: Container): SecurityContext & PodSecurityContext {
  return { ...pod.spec.securityContext, ...container.securityContext };
}

/** `fsGroup` owns the pod's volumes: every container is in it. */
function groupsOf({ spec: { securityContext } }: Pod): readonly number[] {
  const groups = securityContext?.supplementalGroups ?? [];
  return securityContext?.fsGroup === undefined ? groups : [...groups, securityContext.fsGroup];
}

/** Runtimes that are older than the profiles read a text. */
function appArmorOf(profile: SeccompProfile): Pick<LinuxSecurityContext, 'apparmor' | 'apparmorProfile'> {
  const text = { RuntimeDefault: 'runtime/default', Unconfined: 'unconfined', Localhost: 'localhost/' }[profile.type];
  const apparmor = profileOf('appArmorProfile', profile, '');
  return { apparmor, apparmorProfile: `${text}${apparmor.localhostRef ?? ''}` };
}

/** @param folder before the name of a profile on the node */
function profileOf(field: string, { type, localhostProfile = '' }: SeccompProfile, folder: string): Profile {
  const profileType = SecurityProfile_ProfileType[type];
  if (type !== 'Localhost') return { profileType };
  if (localhostProfile === '') throw manifestError(`localhostProfile must be set if ${field} type is Localhost`);
  return { profileType, localhostRef: `${folder}${localhostProfile}` };
}
