import { setTimeout as sleep } from 'node:timers/promises';
import { ApiStatusError, isNotFound, type KubeClient, type Pod, pods } from '../../../src/kubeapi/index.ts';
import { TEST_IMAGE } from '../../support/image.ts';
import type { SeededRandom } from '../../support/seed.ts';

const NAMESPACE = { namespace: 'default' };
/** How long one step of a life may take, in ms; a busy machine takes seconds. */
const STEP_MS = 120_000;
/** Between two looks: a watch would end with each apiserver that is killed. */
const LOOK_MS = 100;

const kinds = ['long', 'short', 'failing', 'two', 'init', 'volumes', 'no command', 'no image', 'host network'] as const;
type Kind = (typeof kinds)[number];

const long = 'trap "exit 0" TERM; sleep 1000 & wait';
const specs: Readonly<Record<Kind, object>> = {
  long: { containers: [container(long)] },
  short: { restartPolicy: 'Never', containers: [container('echo done')] },
  failing: { restartPolicy: 'OnFailure', containers: [container('exit 3')] },
  two: { shareProcessNamespace: true, containers: [container(long), container('sleep 1000', { name: 'second' })] },
  init: { initContainers: [container('sleep 0.2', { name: 'first' })], containers: [container(long)] },
  volumes: {
    securityContext: { fsGroup: 2000 },
    volumes: [
      { name: 'scratch', emptyDir: {} },
      { name: 'host', hostPath: { path: '/tmp' } },
    ],
    containers: [
      container(`touch /scratch/file && ${long}`, {
        volumeMounts: [
          { name: 'scratch', mountPath: '/scratch' },
          { name: 'host', mountPath: '/host', readOnly: true },
        ],
      }),
    ],
  },
  'no command': { containers: [container('', { command: ['/no/such/command'] })] },
  'no image': { containers: [container(long, { image: 'registry.invalid/none:1' })] },
  'host network': { hostNetwork: true, containers: [container(long)] },
};

/**
 * A pod that runs, or cannot, and is removed at any moment of its life, though servers are killed meanwhile.
 *
 * @returns what the pod was
 * @throws Error when it does not get on within two minutes
 */
export async function livePod(client: KubeClient, name: string, random: SeededRandom): Promise<string> {
  const kind = random.pick(kinds);
  const end = random.pick(['at once', 'soon', 'settled'] as const);
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: specs[kind] } as Pod;
  await write(() => client.create(pods, pod, NAMESPACE));
  if (end === 'soon') await sleep(random.between(1, 1500));
  if (end === 'settled') await until(`${kind} pod ${name} to settle`, async () => isSettled(await find(client, name)));
  const gracePeriodSeconds = random.pick([0, 0, 1]);
  await write(() => client.delete(pods, name, { ...NAMESPACE, gracePeriodSeconds }));
  await until(`${kind} pod ${name} to go`, async () => (await find(client, name)) === undefined);
  return `${kind}, removed ${end}`;
}

function container(script: string, more: object = {}): object {
  const image = { image: TEST_IMAGE, imagePullPolicy: 'IfNotPresent' };
  return { name: 'main', ...image, command: ['sh', '-c', script], ...more };
}

/** It runs, is over, or waits for something that does not come. */
function isSettled(pod: Pod | undefined): boolean {
  const { phase, containerStatuses: [first] = [] } = pod?.status ?? {};
  const reason = first?.state?.waiting?.reason ?? '';
  return phase === 'Succeeded' || phase === 'Failed' || first?.ready === true || /Error|BackOff/.test(reason);
}

async function find(client: KubeClient, name: string): Promise<Pod | undefined> {
  return await insist(() =>
    client.get(pods, name, NAMESPACE).catch((thrown: unknown) => {
      if (isNotFound(thrown)) return undefined;
      throw thrown;
    }),
  );
}

/** What was done before its answer was lost is told by the next attempt. */
async function write(call: () => Promise<unknown>): Promise<void> {
  let attempts = 0;
  await insist(async () => {
    attempts += 1;
    await call().catch((thrown: unknown) => {
      const isDone = isNotFound(thrown) || (thrown instanceof ApiStatusError && thrown.reason === 'AlreadyExists');
      if (attempts === 1 || !isDone) throw thrown;
    });
  });
}

/** A server that was killed comes again. */
async function insist<T>(call: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + STEP_MS;
  for (;;) {
    try {
      return await call();
    } catch (thrown) {
      const isRefused = thrown instanceof ApiStatusError && thrown.httpStatus < 500;
      if (isRefused || performance.now() > deadline) throw thrown;
      await sleep(LOOK_MS);
    }
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + STEP_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited ${STEP_MS / 1000} s for ${what}`);
    await sleep(LOOK_MS);
  }
}
