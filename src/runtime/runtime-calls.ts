import { createRequire } from 'node:module';
import { CgroupDriver, type RuntimeServiceHandlers } from '../cri/index.ts';

const packageJson = createRequire(import.meta.url)('../../package.json') as { readonly version: string };

type RuntimeCalls = Pick<RuntimeServiceHandlers, 'version' | 'status' | 'runtimeConfig' | 'updateRuntimeConfig'>;

/** The calls about the runtime itself. @see cri.md 3.1, 4.3 */
export function runtimeCalls(): RuntimeCalls {
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
          { type: 'NetworkReady', status: true, reason: '', message: '' },
          {
            type: 'ContainersIsolated',
            status: false,
            reason: 'HostImage',
            message:
              'containers of podwire.local/host are processes of this host: they share its files, network and process ' +
              'table, mounts are not made and resource limits are not set',
          },
        ],
      },
      runtimeHandlers: [{ name: '', features: { recursiveReadOnlyMounts: false, userNamespaces: false } }],
      features: { supplementalGroupsPolicy: false },
      ...(verbose && { info: { config: JSON.stringify({ isolation: 'none', image: 'podwire.local/host' }) } }),
    }),
    runtimeConfig: async () => ({ linux: { cgroupDriver: CgroupDriver.CGROUPFS } }),
    // The pods' addresses are the host's: a CIDR changes nothing.
    updateRuntimeConfig: async () => ({}),
  };
}
