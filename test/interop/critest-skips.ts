/** Groups of critest that run against our runtime with isolation, as ginkgo finds them by their names. */
export const critestFocus: readonly string[] = [
  'Runtime info',
  'PodSandbox runtime should support (basic|sysctls)',
  'Idempotence',
  'Container runtime should support (basic|log|adding)',
  'Container Mount (Propagation|Readonly)',
  'Container OOM',
  'Multiple Containers',
  'Security Context',
  'Streaming',
  'Networking',
];

/** What critest has beside them and does not run: skipped by these words, each with its reason. */
export const critestSkips: Readonly<Record<string, string>> = {
  'Image Manager|Image Consistency|Image Identifier|Image Volume':
    'they pull, and this runtime takes images by import only',
  'AppArmor|SELinux|NRI': 'the runtime has none of them',
  'metrics operations': 'the runtime has no metrics beside its statistics: answers Unimplemented',
  "mount with 'rshared'":
    'a mount that propagates to the host is refused: util-linux 2.38 cannot hand one over into a mount namespace alone',
  'seccomp localhost profile|an seccomp profile that blocks':
    'a profile is refused: no program of a Debian 12 host applies a filter (setpriv --seccomp-filter came later)',
  'seccomp default':
    'RuntimeDefault leaves a container unconfined, as containerd does where seccomp is not to be had; for the reason above',
  UserNamespaces: 'user namespaces are refused, and Status says that there are none: the specs skip themselves',
  'runtime should support MaskedPaths':
    "the shell of Debian's BusyBox has ls built in, so a masked /bin/ls is not missed; masking has tests of our own",
  'NoNewPrivs should':
    'they need an image with a setuid program that is no BusyBox; no-new-privileges has tests of our own',
};
