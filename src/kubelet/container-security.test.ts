import { describe, expect, it } from 'vitest';
import { SecurityProfile_ProfileType as ProfileType, SupplementalGroupsPolicy } from '../cri/index.ts';
import type { Container, Pod } from '../kubeapi/index.ts';
import { assertNotRoot, containerSecurity, type ImageUser } from './container-security.ts';

type Security = NonNullable<Container['securityContext']>;
type PodSecurity = NonNullable<Pod['spec']['securityContext']>;

function podOf(pod: PodSecurity, container: Security): [Pod, Container] {
  const main = { name: 'main', image: 'x', securityContext: container };
  const metadata = { name: 'web', namespace: 'shop', uid: 'u-1' };
  return [{ metadata, spec: { containers: [main], securityContext: pod } }, main];
}

// Facts: kubernetes pkg/kubelet/kuberuntime/security_context.go
describe('the security of a container', () => {
  const securityOf = (pod: PodSecurity, container: Security = {}): unknown =>
    containerSecurity(...podOf(pod, container));

  it('is confined by no profile when nobody says so', () => {
    expect(securityOf({})).toMatchObject({ privileged: false, seccomp: { profileType: ProfileType.Unconfined } });
    expect(securityOf({})).not.toHaveProperty('apparmor');
    expect(securityOf({})).not.toHaveProperty('selinuxOptions');
  });

  it('is what the container says, and for the rest what its pod says', () => {
    const pod = {
      runAsUser: 1000,
      runAsGroup: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
      seLinuxOptions: { level: 's0:c1' },
      appArmorProfile: { type: 'Localhost', localhostProfile: 'shop' },
      supplementalGroupsPolicy: 'Strict',
    } as const;
    expect(securityOf(pod)).toMatchObject({
      runAsUser: { value: 1000n },
      seccomp: { profileType: ProfileType.RuntimeDefault },
      selinuxOptions: { level: 's0:c1' },
      apparmor: { profileType: ProfileType.Localhost, localhostRef: 'shop' },
      apparmorProfile: 'localhost/shop',
      supplementalGroupsPolicy: SupplementalGroupsPolicy.Strict,
    });
    const container = {
      runAsUser: 2000,
      seccompProfile: { type: 'Localhost', localhostProfile: 'profiles/audit.json' },
      appArmorProfile: { type: 'RuntimeDefault' },
    } as const;
    expect(securityOf(pod, container)).toMatchObject({
      runAsUser: { value: 2000n },
      runAsGroup: { value: 1000n },
      seccomp: { profileType: ProfileType.Localhost, localhostRef: '/var/lib/kubelet/seccomp/profiles/audit.json' },
      apparmorProfile: 'runtime/default',
    });
  });

  it('has a name for a profile of the node', () => {
    expect(() => securityOf({}, { seccompProfile: { type: 'Localhost' } })).toThrow(
      'localhostProfile must be set if seccompProfile type is Localhost',
    );
  });
});

describe('a container that is not to be root', () => {
  const who = '(pod: "web_shop(u-1)", container: main)';
  const nonRoot = { runAsNonRoot: true };

  it.each<[string, PodSecurity, Security, ImageUser, string | undefined]>([
    ['with a user of its image', nonRoot, {}, { uid: 1000n }, undefined],
    ['with a user of its own', nonRoot, { runAsUser: 1000 }, { uid: 0n }, undefined],
    ['that may be root after all', nonRoot, { runAsNonRoot: false }, {}, undefined],
    ['without a user', nonRoot, {}, {}, `container has runAsNonRoot and image will run as root ${who}`],
    ['with root', {}, nonRoot, { uid: 0n }, `container has runAsNonRoot and image will run as root ${who}`],
    [
      'with root by its pod',
      { ...nonRoot, runAsUser: 0 },
      {},
      {},
      `container's runAsUser breaks non-root policy ${who}`,
    ],
    [
      'with a name',
      nonRoot,
      {},
      { username: 'app' },
      `container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root ${who}`,
    ],
  ])('%s', (_, pod, container, image, refusal) => {
    const assert = (): void => assertNotRoot(...podOf(pod, container), image);
    if (refusal === undefined) expect(assert).not.toThrow();
    else expect(assert).toThrow(refusal);
  });
});
