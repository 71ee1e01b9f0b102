/** Each critest that runs against our runtime: of cri-tools' `version`, of which `passed` specs pass, no more and no less. */
export const critests = [
  { peer: 'critest', version: '1.37.0', passed: 80 },
  { peer: 'critest-1.34', version: '1.34.0', passed: 78 },
] as const;

/** What critest has and does not run here: specs whose names have these words, each with its reason. All others run. */
export const critestSkips: Readonly<Record<string, string>> = {
  benchmark: 'they measure and check nothing: critest leaves them out unless they are asked for',
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
