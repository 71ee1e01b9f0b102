import { mkdirSync, writeFileSync } from 'node:fs';
import { request as requestPlain } from 'node:http';
import { request as requestSecure } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KubeClient, nodes, pods, WEBSOCKET_PASS_THROUGH_FEATURE } from '../../../src/kubeapi/index.ts';
import { HOST_IMAGE } from '../../../src/runtime/index.ts';
import { type Endpoint, transportTo } from './endpoint.ts';

/** A pod whose node passes WebSocket v5 on, and one whose node wants the apiserver to translate it to SPDY. */
export const podNames = { passThrough: 'new-n1', translated: 'old-n1' } as const;

/** The one container of each pod. */
export const CONTAINER = 'main';

const NAMESPACE = 'default';

/** Static pods for the kubelet `n1`, which appends its name to theirs. */
export function writeManifests(directory: string): void {
  mkdirSync(directory);
  for (const name of ['new', 'old']) {
    const container = { name: CONTAINER, image: HOST_IMAGE, command: ['sleep', '1000000'] };
    const metadata = { name };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { hostNetwork: true, containers: [container] } };
    writeFileSync(join(directory, `${name}.yaml`), JSON.stringify(pod));
  }
}

/** How long a kubelet may take to start its static pods, in ms. */
const PODS_DEADLINE_MS = 60_000;

/** Waits until commands run in both pods of a kubelet. */
export async function podsServe(kubelet: Endpoint): Promise<void> {
  const deadline = Date.now() + PODS_DEADLINE_MS;
  for (const name of Object.values(podNames)) {
    for (let status = 0; status !== 200; ) {
      if (Date.now() > deadline) throw new Error(`no command runs in ${name} after ${PODS_DEADLINE_MS} ms: ${status}`);
      if (status !== 0) await delay(50);
      status = await runTrue(kubelet, name);
    }
  }
}

/** Runs `true` in the pod. Without an agent: no connection is kept for later. @returns the HTTP status */
function runTrue({ url, ca }: Endpoint, pod: string): Promise<number> {
  const path = `${url}/run/${NAMESPACE}/${pod}/${CONTAINER}?cmd=true`;
  const request = ca === undefined ? requestPlain : requestSecure;
  return new Promise((resolve, reject) => {
    const call = request(path, { method: 'POST', agent: false, ca }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    });
    call.on('error', reject).end();
  });
}

/** Tells an apiserver of both pods and of the node of each, whose kubelet is reached at `kubeletPort`. */
export async function registerPods(apiserver: Endpoint, kubeletPort: number): Promise<void> {
  const client = new KubeClient(transportTo(apiserver));
  try {
    for (const [kind, name] of Object.entries(podNames)) {
      const declaredFeatures = kind === 'passThrough' ? [WEBSOCKET_PASS_THROUGH_FEATURE] : [];
      await client.create(nodes, {
        metadata: { name: `node-of-${name}` },
        status: {
          addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
          daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
          declaredFeatures,
        },
      });
      const spec = { nodeName: `node-of-${name}`, containers: [{ name: CONTAINER, image: HOST_IMAGE }] };
      await client.create(pods, { metadata: { name, namespace: NAMESPACE }, spec }, { namespace: NAMESPACE });
    }
  } finally {
    client.close();
  }
}
