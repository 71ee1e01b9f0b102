import {
  type ContainerConfig,
  grpcCodes,
  type LinuxSandboxSecurityContext,
  NamespaceMode,
  RuntimeCallError,
  type SecurityProfile,
  SecurityProfile_ProfileType,
} from '../../cri/index.ts';

/** How paths of profiles on the node begin, in the fields that came before the profiles. */
const ON_THE_NODE = 'localhost/';

/**
 * What would have to be pretended is refused.
 *
 * @throws RuntimeCallError InvalidArgument
 */
export function assertContainerPossible({ linux, devices, mounts, CDIDevices }: ContainerConfig): void {
  const context = linux?.securityContext;
  const partly = devices.find(({ permissions }) => permissions !== '' && !/^(?=.*r)(?=.*w)/.test(permissions));
  refuse('container', {
    'a seccomp profile':
      context?.privileged !== true && (isLocal(context?.seccomp) || isOnTheNode(context?.seccompProfilePath)),
    'an AppArmor profile': isLocal(context?.apparmor) || isOnTheNode(context?.apparmorProfile),
    'SELinux labels': context?.selinuxOptions !== undefined,
    'a user namespace': context?.namespaceOptions?.usernsOptions?.mode === NamespaceMode.POD,
    'ambient capabilities': (context?.capabilities?.addAmbientCapabilities.length ?? 0) > 0,
    'CDI devices': CDIDevices.length > 0,
    'mounts with other ids': mounts.some(({ uidMappings, gidMappings }) => uidMappings.length + gidMappings.length > 0),
    [`the device ${partly?.containerPath} with the permissions ${partly?.permissions}, which takes reading and writing`]:
      partly !== undefined,
  });
}

/** As {@link assertContainerPossible}, for what a pod says for all its containers. */
export function assertPodPossible(context: LinuxSandboxSecurityContext | undefined): void {
  refuse('pod', {
    'a seccomp profile':
      context?.privileged !== true && (isLocal(context?.seccomp) || isOnTheNode(context?.seccompProfilePath)),
    'SELinux labels': context?.selinuxOptions !== undefined,
    'a user namespace': context?.namespaceOptions?.usernsOptions?.mode === NamespaceMode.POD,
  });
}

function refuse(kind: string, wanted: Readonly<Record<string, boolean>>): void {
  const [what] = Object.entries(wanted).find(([, isWanted]) => isWanted) ?? [];
  if (what === undefined) return;
  throw new RuntimeCallError(grpcCodes.InvalidArgument, `this runtime cannot give a ${kind} ${what}`);
}

function isLocal(profile: SecurityProfile | undefined): boolean {
  return profile?.profileType === SecurityProfile_ProfileType.Localhost;
}

function isOnTheNode(path: string | undefined): boolean {
  return path?.startsWith(ON_THE_NODE) === true;
}
