import type { Pod } from '../kubeapi/index.ts';

/** The pod that `up` runs, so that there is something to exec into. */
export const DEMO_POD = { namespace: 'default', name: 'demo', container: 'demo' } as const;

/** @param image what the runtime has; with our own the host image, whose commands are the host's */
export function demoPod(image: string, nodeName: string): Pod {
  return {
    metadata: { name: DEMO_POD.name, namespace: DEMO_POD.namespace, labels: { app: 'demo' } },
    spec: {
      nodeName,
      hostNetwork: true,
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: DEMO_POD.container,
          image,
          imagePullPolicy: 'IfNotPresent',
          command: ['/bin/sh', '-c', 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done'],
        },
      ],
    },
  };
}
