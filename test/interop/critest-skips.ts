/** Groups of critest that run against our runtime with isolation, as ginkgo finds them by their names. */
export const critestFocus: readonly string[] = [
  'Runtime info',
  'PodSandbox runtime should support basic',
  'Idempotence',
  'Container runtime should support (basic|log|adding)',
  'Multiple Containers',
  'Streaming',
  'Networking',
];

/** What critest has beside them and does not run: skipped by these words, each with its reason. */
export const critestSkips: Readonly<Record<string, string>> = {
  'Image Manager|Image Consistency|Image Identifier|Image Volume':
    'they pull, and this runtime takes images by import only',
  'Security Context': 'not tried yet: seccomp profiles, user namespaces and SELinux labels are refused',
  'Mount Propagation|Mount Readonly': 'mounts that propagate to the host and recursive read-only are refused',
  'Container OOM': 'memory limits are not set: there are no cgroups yet',
  'AppArmor|SELinux|NRI': 'the runtime has none of them',
  'support sysctls|metrics operations': 'not tried yet; metrics answer Unimplemented',
};
