import { createRequire } from 'node:module';
import { CgroupDriver, type RuntimeServiceHandlers } from '../cri/index.ts';
import type { Isolation } from './isolation/index.ts';

const packageJson = createRequire(import.meta.url)('../../package.json') as { readonly version: string };

type RuntimeCalls = Pick<RuntimeServiceHandlers, 'version' | 'status' | 'runtimeConfig' | 'updateRuntimeConfig'>;

/** The calls about the runtime itself. @see cri.md 3.1, 4.3 */
export function runtimeCalls(isolation: Isolation | undefined): RuntimeCalls {
  const hasWalls = isolation !== undefined;
  return {
    version: async () => ({
      version: '0.1.0',
      runtimeName: 'podwire',
      runtimeVersion: packageJson.version,
      runtimeApiVersion: 'v1',
    }),
    status: async ({ verbose }) => ({
      status: {
        conditions: [
          { type: 'RuntimeReady', status: true, reason: '', message: '' },
          networkCondition(isolation),
          isolationCondition(isolation),
          limitsCondition(isolation),
        ],
      },
      runtimeHandlers: [{ name: '', features: { recursiveReadOnlyMounts: hasWalls, userNamespaces: false } }],
      features: { supplementalGroupsPolicy: hasWalls },
      ...(verbose && {
        info: {
          config: JSON.stringify({
            isolation: isolation === undefined ? 'none' : 'namespaces',
            cgroupControllers: isolation?.cgroups?.controllers ?? {},
          }),
        },
      }),
    }),
    runtimeConfig: async () => ({ linux: { cgroupDriver: CgroupDriver.CGROUPFS } }),
    // Pods have addresses of the runtime's own network, or the host's: a CIDR is for runtimes that leave it to the kubelet.
    updateRuntimeConfig: async () => ({}),
  };
}

function networkCondition(isolation: Isolation | undefined) {
  const isShared = isolation !== undefined && isolation.network === undefined;
  const message = isShared ? 'no CNI plugins are installed, so pods share the network of the host' : '';
  return { type: 'NetworkReady', status: true, reason: isShared ? 'HostNetwork' : '', message };
}

function isolationCondition(isolation: Isolation | undefined) {
  const host =
    'containers of podwire.local/host are processes of this host: they share its files, network and process ' +
    'table, mounts are not made and resource limits are not set';
  const isIsolated = isolation !== undefined;
  return {
    type: 'ContainersIsolated',
    status: isIsolated,
    reason: isIsolated ? 'Namespaces' : 'HostImage',
    message: host,
  };
}

/** Which controllers there are with their versions, for containers with walls. */
function limitsCondition(isolation: Isolation | undefined) {
  const controllers = Object.entries(isolation?.cgroups?.controllers ?? {});
  const isLimited = controllers.length > 0;
  const message = isLimited
    ? `cgroups of ${controllers.map(([name, version]) => `${name} (v${version})`).join(', ')}`
    : 'no cgroup can be written, so no resource limits are set; a container that wants one is refused';
  return { type: 'ResourceLimits', status: isLimited, reason: isLimited ? 'Cgroups' : 'NoCgroups', message };
}
