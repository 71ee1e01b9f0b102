import type { Pod } from '../kubeapi/index.ts';
import { HOST_IMAGE } from '../runtime/index.ts';
import { DEMO_POD } from './names.ts';

/**
 * @param image what the runtime has; undefined for the host image of our own, whose commands are the host's
 * @param hasNetwork whether the runtime gives pods a network of their own, or knows how to do without
 */
export function demoPod(image: string | undefined, nodeName: string, hasNetwork: boolean): Pod {
  return {
    metadata: { name: DEMO_POD.name, namespace: DEMO_POD.namespace, labels: { app: 'demo' } },
    spec: {
      nodeName,
      ...((image === undefined || !hasNetwork) && { hostNetwork: true }),
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: DEMO_POD.container,
          image: image ?? HOST_IMAGE,
          imagePullPolicy: 'IfNotPresent',
          command: ['/bin/sh', '-c', 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done'],
        },
      ],
    },
  };
}
