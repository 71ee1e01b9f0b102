import { afterAll, beforeAll, expect, it } from 'vitest';
import { requirePeer } from '../support/find-peer.ts';
import { TEST_IMAGE } from '../support/image.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';
import type { ExecTarget } from './exec-suite.ts';
import { hopsTarget } from './hops.ts';

const shell = (name: string, script: string): object => ({
  name,
  image: TEST_IMAGE,
  imagePullPolicy: 'IfNotPresent',
  command: ['sh', '-c', script],
});

describeWithPeer(['containerd', 'kubectl'], 'our kubelet runs what a spec says in containerd', () => {
  let target: ExecTarget;
  let kubectl: Kubectl;

  beforeAll(async () => {
    const start = hopsTarget('containerd', async (kubeconfig) => {
      kubectl = await Kubectl.create({ kubeconfig, program: requirePeer('kubectl') });
      return kubectl;
    });
    target = await start();
  }, 120_000);

  afterAll(async () => {
    await target[Symbol.asyncDispose]();
  }, 60_000);

  it('init containers, fields, a volume, restarts and logs', { timeout: 120_000 }, async () => {
    const mount = { volumeMounts: [{ name: 'data', mountPath: '/data' }] };
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'spec', labels: { app: 'spec' } },
      spec: {
        terminationGracePeriodSeconds: 1,
        volumes: [{ name: 'data', emptyDir: {} }],
        initContainers: [{ ...shell('prepare', 'echo prepared > /data/file'), ...mount }],
        containers: [
          {
            ...shell('main', 'cat /data/file; echo "$(WHO) in $PWD as $APP"; exec sleep 100000'),
            ...mount,
            workingDir: '/tmp',
            env: [
              { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
              { name: 'WHO', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
            ],
          },
          shell('crash', 'echo boom; exit 3'),
        ],
      },
    };
    const made = await kubectl.run(['create', '-f', '-'], { stdin: Buffer.from(JSON.stringify(pod)) });
    expect(made.stdout.toString()).toBe('pod/spec created\n');
    await expect
      .poll(() => kubectl.run(['logs', 'spec', '-c', 'main']).then(({ stdout }) => stdout.toString()), {
        timeout: 60_000,
      })
      .toBe('prepared\nspec in /tmp as spec\n');
    await expect
      .poll(() => kubectl.run(['logs', '-p', 'spec', '-c', 'crash']).then(({ stdout }) => stdout.toString()), {
        timeout: 60_000,
      })
      .toBe('boom\n');
    expect(
      await kubectl.must(
        'get',
        'pod',
        'spec',
        '-o',
        'jsonpath={.status.initContainerStatuses[0].state.terminated.reason}',
      ),
    ).toBe('Completed');
    expect(await kubectl.must('delete', 'pod', 'spec')).toBe('pod "spec" deleted\n');
  });
});
