import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { KubeApiserver } from '../support/kube-apiserver.ts';
import { Kubectl } from '../support/kubectl.ts';
import { MemoryIo } from '../support/memory-io.ts';
import { describeWithPeer } from '../support/peer.ts';

type Step = readonly string[] | { readonly apply: object; readonly flags?: readonly string[] };

interface Meta {
  readonly annotations?: object;
  readonly finalizers?: readonly string[];
  readonly labels?: object;
}

const container = (name: string, more: object = {}): object => ({ name, image: 'busybox', ...more });

function deployment(containers: readonly object[], pod: object = {}, metadata: Meta = {}, spec: object = {}): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', ...metadata },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers, ...pod } },
      ...spec,
    },
  };
}

const service = (ports: readonly object[]): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'dns' },
  spec: { selector: { app: 'dns' }, clusterIP: 'None', ports },
});

const widget = (spec: object, metadata: Meta = {}): object => ({
  apiVersion: 'example.com/v1',
  kind: 'Widget',
  metadata: { name: 'one', ...metadata },
  spec,
});

const widgets = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        },
      },
    ],
  },
};

const patched = (type: string, patch: object, what = 'deployment/web'): Step => [
  'patch',
  what,
  `--type=${type}`,
  `-p=${JSON.stringify(patch)}`,
];

const env = (...names: string[]): object => ({ env: names.map((name) => ({ name, value: '1' })) });
const sidecar = patched('strategic', {
  spec: { template: { spec: { containers: [container('sidecar')], volumes: [{ name: 'extra', emptyDir: {} }] } } },
});

/** Each is told twice, in a namespace of its own: by podwire and by kubectl. What is no manifest, kubectl does for both. */
const stories: Readonly<Record<string, readonly Step[]>> = {
  'an env variable, a port and a container leave, a sidecar stays': [
    {
      apply: deployment([
        container('a', { ...env('K', 'L'), ports: [{ containerPort: 80 }, { containerPort: 81 }] }),
        container('b'),
      ]),
    },
    sidecar,
    { apply: deployment([container('a', { ...env('L'), ports: [{ containerPort: 81 }] })]) },
  ],
  'a list leaves as a whole': [
    { apply: deployment([container('a', env('K'))]) },
    { apply: deployment([container('a')]) },
  ],
  'a volume changes what it is, one leaves, a toleration leaves': [
    {
      apply: deployment([container('a')], {
        volumes: [
          { name: 'x', emptyDir: {} },
          { name: 'y', emptyDir: {} },
        ],
        tolerations: [{ key: 'a' }, { key: 'b' }].map((one) => ({ ...one, operator: 'Exists' })),
      }),
    },
    sidecar,
    {
      apply: deployment([container('a')], {
        volumes: [{ name: 'x', hostPath: { path: '/x' } }],
        tolerations: [{ key: 'b', operator: 'Exists' }],
      }),
    },
  ],
  'an annotation, a label and a finalizer leave': [
    {
      apply: deployment(
        [container('a')],
        {},
        {
          annotations: { x: '1', y: '<&>' },
          finalizers: ['example.com/x', 'example.com/y'],
          labels: { l: '1' },
        },
      ),
    },
    ['label', 'deployment/web', 'other=1'],
    patched('json', [{ op: 'add', path: '/metadata/finalizers/-', value: 'example.com/z' }]),
    { apply: deployment([container('a')], {}, { annotations: { y: '<&>' }, finalizers: ['example.com/y'] }) },
  ],
  'what others changed holds where the manifest says nothing': [
    { apply: deployment([container('a')]) },
    ['scale', 'deployment/web', '--replicas=3'],
    { apply: deployment([container('a', env('K'))]) },
    { apply: deployment([container('a', env('K'))], {}, {}, { replicas: 2 }) },
    ['scale', 'deployment/web', '--replicas=3'],
    { apply: deployment([container('a', env('K'))], {}, {}, { replicas: 2 }) },
    { apply: deployment([container('a', env('K'))], {}, {}, { replicas: 2 }) },
  ],
  'another strategy': [
    {
      apply: deployment(
        [container('a')],
        {},
        {},
        { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 2 } } },
      ),
    },
    { apply: deployment([container('a')], {}, {}, { strategy: { type: 'Recreate' } }) },
  ],
  'nothing changes, in no run': [
    { apply: deployment([container('a', env('K'))]) },
    { apply: deployment([container('a', env('K'))]) },
    { apply: deployment([container('a', env('K'))]), flags: ['--dry-run=server'] },
    { apply: deployment([container('a', env('K'))]), flags: ['--dry-run=client'] },
    { apply: deployment([container('a', env('L'))]), flags: ['--dry-run=server'] },
    { apply: deployment([container('a', env('L'))]), flags: ['--dry-run=client'] },
  ],
  'another order': [
    { apply: deployment([container('a', env('K', 'L')), container('b')]) },
    { apply: deployment([container('b'), container('a', env('L', 'K'))]) },
  ],
  'an object that nobody applied': [
    ['create', 'deployment', 'web', '--image=busybox', '--replicas=2'],
    { apply: deployment([container('a')]), flags: ['--dry-run=server'] },
    { apply: deployment([container('busybox', env('K'))]) },
    { apply: deployment([container('busybox', env('K'))]) },
  ],
  'a port for TCP and UDP': [
    { apply: service(['TCP', 'UDP'].map((protocol) => ({ name: protocol.toLowerCase(), port: 53, protocol }))) },
    { apply: service(['TCP', 'UDP'].map((protocol) => ({ name: protocol.toLowerCase(), port: 53, protocol }))) },
  ],
  'a custom resource': [
    { apply: widget({ list: [{ name: 'a' }, { name: 'b' }], map: { a: 1, b: 2 } }, { finalizers: ['example.com/x'] }) },
    patched('merge', { spec: { map: { c: 3 } } }, 'widget/one'),
    { apply: widget({ list: [{ name: 'b' }], map: { a: 9 } }, { finalizers: [] }) },
    { apply: widget({ list: [{ name: 'b' }], map: { a: 9 } }, { finalizers: [] }) },
  ],
};

describeWithPeer(['kube-apiserver', 'etcd', 'kubectl'], 'podwire apply beside kubectl apply', () => {
  let apiserver: KubeApiserver;
  let kubectl: Kubectl;
  let told = 0;

  beforeAll(async () => {
    apiserver = await KubeApiserver.start();
    kubectl = await Kubectl.create({ kubeconfig: apiserver.adminKubeconfig });
    const { exitCode } = await kubectl.run(['create', '-f', '-'], { stdin: Buffer.from(JSON.stringify(widgets)) });
    expect(exitCode).toBe(0);
    await kubectl.must('wait', 'crd/widgets.example.com', '--for=condition=Established');
  }, 180_000);

  afterAll(async () => {
    kubectl?.[Symbol.dispose]();
    await apiserver?.[Symbol.asyncDispose]();
  }, 60_000);

  async function podwire(args: readonly string[], stdin: string): Promise<string> {
    const io = new MemoryIo(Readable.from([stdin]));
    const [command = '', ...rest] = args;
    const code = await runCli([command, '--kubeconfig', apiserver.adminKubeconfig, ...rest], io);
    return `${io.out.text}${firstLine(io.err.text)}exit ${code}`;
  }

  async function kubectlSays(args: readonly string[], stdin = ''): Promise<string> {
    const { stdout, stderr, exitCode } = await kubectl.run(args, { stdin: Buffer.from(stdin) });
    return `${stdout.toString()}${firstLine(stderr.toString())}exit ${exitCode}`;
  }

  /** @returns what each apply says, and what there is in the end */
  async function tell(
    story: readonly Step[],
    appliers: readonly ('podwire' | 'kubectl')[],
  ): Promise<readonly string[]> {
    told += 1;
    const namespace = `story-${told}`;
    await kubectl.must('create', 'namespace', namespace);
    const said: string[] = [];
    let applies = 0;
    for (const step of story) {
      if (!('apply' in step)) {
        await kubectl.must(...step, '-n', namespace);
        continue;
      }
      const args = ['apply', '-n', namespace, '-f', '-', ...(step.flags ?? [])];
      const apply = appliers[applies % appliers.length] === 'podwire' ? podwire : kubectlSays;
      applies += 1;
      said.push(await apply(args, JSON.stringify(step.apply)));
    }
    const there = await kubectl.must('get', 'deployment,service,widget', '-n', namespace, '-o', 'json');
    const { items } = JSON.parse(there) as { readonly items: readonly { readonly metadata: object }[] };
    const kept = items.map((item) => ({ ...item, metadata: { ...item.metadata, ...volatile } }));
    return [...said, JSON.stringify(kept, undefined, 1)].map((text) => text.replaceAll(namespace, 'story'));
  }

  const volatile = { uid: '', creationTimestamp: '', resourceVersion: '' };

  it.each(Object.entries(stories))('%s', { timeout: 120_000 }, async (_, story) => {
    const expected = await tell(story, ['kubectl']);
    expect(await tell(story, ['podwire'])).toEqual(expected);
    expect(await tell(story, ['kubectl', 'podwire'])).toEqual(expected);
    expect(await tell(story, ['podwire', 'kubectl'])).toEqual(expected);
  });
});

/** Below it podwire says where, which rule and what to do. Whose command it is differs, too. */
function firstLine(text: string): string {
  const [first = ''] = text.replaceAll(/\b(?:kubectl|podwire) apply\b/g, 'apply').split('\n');
  return first === '' ? '' : `${first}\n`;
}
