import { type FlagValues, intFlag, stringFlag } from './flag.ts';
import { withoutUndefined } from './given-options.ts';
import type { NamespaceWish } from './in-user-namespace.ts';
import { isolationFlag, isolationOf } from './isolation-flag.ts';
import { storageFlags } from './storage-flags.ts';

/** What a cluster in one process can be told. */
export const clusterFlags = {
  'state-dir': stringFlag({
    value: 'DIR',
    source: 'folder',
    help: 'certificates, kubeconfig and state',
    shownDefault: "the user's state folder",
  }),
  'bind-address': stringFlag({ value: 'IP', help: 'address of the apiserver', initial: '127.0.0.1' }),
  'secure-port': intFlag({ value: 'PORT', help: 'its port; 0 for any free one', initial: 6443, min: 0, max: 65_535 }),
  'container-runtime-endpoint': stringFlag({
    value: 'URL',
    help: "unix:///PATH or tcp://HOST:PORT of a CRI runtime, in place of podwire's",
  }),
  'demo-image': stringFlag({
    value: 'IMAGE|FILE',
    source: 'file',
    help: "image of the demo pod: a name, or for podwire's runtime also an image archive or layout folder to import",
    shownDefault: 'commands of this machine',
  }),
  isolation: isolationFlag,
  'hostname-override': stringFlag({ value: 'NAME', help: 'name of the node', shownDefault: 'podwire' }),
  ...storageFlags,
} as const;

export type ClusterFlagValues = FlagValues<typeof clusterFlags>;

/** The cluster's options for the flags, without the state folder. */
export function clusterOptions(values: ClusterFlagValues): {
  readonly bindAddress?: string;
  readonly securePort?: number;
  readonly containerRuntimeEndpoint?: string;
  readonly demoImage?: string;
  readonly isolation: boolean | 'auto';
  readonly nodeName?: string;
} {
  const options = {
    bindAddress: values['bind-address'],
    securePort: values['secure-port'],
    containerRuntimeEndpoint: values['container-runtime-endpoint'],
    demoImage: values['demo-image'],
    nodeName: values['hostname-override'],
  };
  return { ...withoutUndefined(options), isolation: isolationOf(values.isolation) };
}

/** @param stateDir of the runtime, when it outlives the command */
export function namespaceWish(values: ClusterFlagValues, stateDir: string | undefined): NamespaceWish {
  const hasOwnRuntime = values['container-runtime-endpoint'] === undefined;
  return {
    isolation: hasOwnRuntime && isolationOf(values.isolation),
    stateDir,
    hasImage: values['demo-image'] !== undefined,
  };
}
