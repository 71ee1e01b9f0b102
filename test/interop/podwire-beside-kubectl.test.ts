import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiObject } from '../../src/apiserver/index.ts';
import { runCli } from '../../src/cli/index.ts';
import { events, leases, nodes, pods, serviceAccounts } from '../../src/kubeapi/index.ts';
import { ApiWorld, testTokens } from '../support/api-world.ts';
import { Kubectl } from '../support/kubectl.ts';
import { MemoryIo } from '../support/memory-io.ts';
import { describeWithPeer } from '../support/peer.ts';
import { withoutAges } from '../support/without-ages.ts';

const time = '2026-01-02T03:04:05Z';

const node: ApiObject = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name: 'n1',
    labels: { 'kubernetes.io/hostname': 'n1', 'node-role.kubernetes.io/worker': '' },
    annotations: { 'a/long': 'x'.repeat(150), lines: 'one\ntwo\n' },
  },
  spec: {
    taints: [
      { key: 'k', value: 'v', effect: 'NoSchedule' },
      { key: 'a', effect: 'NoExecute' },
    ],
  },
  status: {
    capacity: { cpu: '4', memory: '8388608Ki', pods: '110', 'example.com/gpu': '2', 'ephemeral-storage': '1000000Ki' },
    allocatable: { cpu: '3500m', memory: '8000000Ki', pods: '110', 'example.com/gpu': '2' },
    addresses: [
      { type: 'InternalIP', address: '10.0.0.1' },
      { type: 'Hostname', address: 'n1' },
    ],
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: 'KubeletReady',
        message: 'kubelet is posting ready status',
        lastHeartbeatTime: time,
        lastTransitionTime: time,
      },
    ],
    nodeInfo: {
      machineID: 'm',
      systemUUID: 's',
      bootID: 'b',
      kernelVersion: '6.18.0',
      osImage: 'Debian 12',
      containerRuntimeVersion: 'containerd://1.6.20',
      kubeletVersion: 'v1.32.0+podwire',
      operatingSystem: 'linux',
      architecture: 'amd64',
    },
  },
};

/** Texts that YAML has rules for. */
const trickyTexts = [
  '',
  'yes',
  '012',
  '1e3',
  '10:20',
  '2026-01-01T00:00:00Z',
  '10.0.0.1',
  'a: b',
  "it's: x",
  '@x',
  'x ',
  'a #b',
  '- a',
  'a\tb',
  'ü€😀',
  'a\nb\n',
  ' a\nb',
  'a\n\n',
  'a \nb',
  '<a&b>',
  '\u001b[2J',
  '0x1f',
  '~',
  '...',
  '---x',
  "it's: ".repeat(30),
  `${'long words '.repeat(20)}end`,
  `"${'long: words '.repeat(20)}end`,
  `\t${'long  words '.repeat(20)}`,
];

const full: ApiObject = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'web',
    namespace: 'default',
    labels: { app: 'web', tier: 'front', 'x.io/y': 'z' },
    annotations: Object.fromEntries(trickyTexts.map((text, index) => [`t${String(index).padStart(2, '0')}`, text])),
  },
  spec: {
    nodeName: 'n1',
    tolerations: [
      { key: 'k', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      { key: 'a', operator: 'Equal', value: 'b' },
      { operator: 'Exists' },
    ],
    nodeSelector: { disk: 'ssd' },
    volumes: [
      { name: 'e', emptyDir: { sizeLimit: '1024Mi' } },
      { name: 'h', hostPath: { path: '/var', type: 'Directory' } },
      { name: 's', secret: { secretName: 'sec' } },
      { name: 'c', configMap: { name: 'cm', optional: true } },
      { name: 'd', downwardAPI: { items: [{ path: 'l', fieldRef: { fieldPath: 'metadata.labels' } }] } },
      {
        name: 'p',
        projected: {
          sources: [{ serviceAccountToken: { path: 't', expirationSeconds: 3607 } }, { configMap: { name: 'cm' } }],
        },
      },
    ],
    initContainers: [{ name: 'prepare', image: 'busybox:1', resources: { requests: { cpu: '2', memory: '64Mi' } } }],
    containers: [
      {
        name: 'main',
        image: 'busybox:1',
        command: ['sh', '-c', 'one\ntwo'],
        args: ['x'],
        ports: [{ containerPort: 80 }, { containerPort: 53, protocol: 'UDP' }],
        env: [
          { name: 'PLAIN', value: 'a\nb' },
          { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          { name: 'LABELS', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
          { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
          { name: 'MEM', valueFrom: { resourceFieldRef: { resource: 'requests.memory', divisor: '1Mi' } } },
          { name: 'SECRET', valueFrom: { secretKeyRef: { name: 'sec', key: 'k' } } },
          { name: 'MAP', valueFrom: { configMapKeyRef: { name: 'cm', key: 'k', optional: true } } },
        ],
        envFrom: [{ prefix: 'P_', configMapRef: { name: 'cm' } }, { secretRef: { name: 'sec', optional: true } }],
        resources: { requests: { cpu: '0.1', memory: '128Mi' }, limits: { memory: '1024Mi', 'example.com/gpu': '1' } },
        volumeMounts: [
          { name: 'h', mountPath: '/z', readOnly: true, subPath: 'log' },
          { name: 'e', mountPath: '/a' },
        ],
        livenessProbe: { httpGet: { path: '/healthz', port: 80 }, periodSeconds: 5 },
        readinessProbe: { exec: { command: ['true', 'x'] } },
        startupProbe: { tcpSocket: { port: 'http' } },
      },
      { name: 'side', image: 'busybox:1', ports: [{ containerPort: 81, hostPort: 8081 }] },
    ],
  },
};

const status = {
  phase: 'Running',
  podIP: '10.1.0.5',
  podIPs: [{ ip: '10.1.0.5' }, { ip: 'fd00::5' }],
  hostIP: '10.0.0.1',
  startTime: time,
  qosClass: 'Burstable',
  conditions: [
    { type: 'Ready', status: 'False', reason: 'ContainersNotReady' },
    { type: 'PodScheduled', status: 'True' },
  ],
  initContainerStatuses: [
    {
      name: 'prepare',
      ready: true,
      restartCount: 0,
      image: 'busybox:1',
      imageID: 'sha256:1',
      containerID: 'c://0',
      state: { terminated: { exitCode: 0, reason: 'Completed', startedAt: time, finishedAt: time } },
    },
  ],
  containerStatuses: [
    {
      name: 'main',
      ready: true,
      restartCount: 2,
      image: 'busybox:1',
      imageID: 'sha256:1',
      containerID: 'c://1',
      state: { running: { startedAt: time } },
      lastState: { terminated: { exitCode: 137, signal: 9, reason: 'Error', message: 'killed', startedAt: time } },
    },
    {
      name: 'side',
      ready: false,
      restartCount: 0,
      image: 'busybox:1',
      imageID: '',
      state: { waiting: { reason: 'ImagePullBackOff', message: 'no' } },
    },
  ],
};

const plain = (name: string, namespace = 'default'): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels: { app: name } },
  spec: { containers: [{ name: 'main', image: 'busybox:1' }] },
});

const table = [
  'get pods',
  'get pods -A',
  'get pods -o wide',
  'get pods -A --show-labels',
  'get pods -L app,tier -L x.io/y',
  'get pods,nodes',
  'get pod/web node/n1 ns/default',
  'get nodes -o wide',
  'get ns',
  'get sa -A',
  'get csinodes',
  'get svc -A',
  'get csinode,svc -o name',
  'get podz',
  'get all',
  'get pods,all,po',
  'get all,nodes -o name',
  'get all -A --show-labels',
  'get all web',
  'get all -w',
  'get foo.bar/x',
  'get pods/x/y',
  'get pods/',
  'get leases -A',
  'get events -o wide',
  'get pods --no-headers',
  'get pods --show-kind',
  'get pods web nope api',
  'get pods nope',
  'get pods -n nope',
  'get pod one -n nope',
  'get pods one two -n nope -o name',
  'get pod one -n nope -w',
  'get pod one -n nope --ignore-not-found',
  'get pods -l app=nope',
  'get pods nope --ignore-not-found',
  'get pods -A --chunk-size=1',
  'get pods --sort-by=.metadata.name',
  'get pods --sort-by={.metadata.labels.tier} --no-headers',
  'get nodes,pods -o wide --show-labels',
  'get pods -A --field-selector metadata.namespace=kube-system',
  'get pods --field-selector=x=y',
  'get pods -l a=b=c --field-selector=spec.nodeName=n1',
  'get pods,leases --field-selector=x=y -o name',
  'get pods -A -w --field-selector=x=y',
  'delete pods --field-selector=x=y',
  'delete sa -l a=b=c',
  'describe leases -l a=b=c',
  'wait pods --for=delete --field-selector=x=y',
  'wait pods --for=create --field-selector=x=y --timeout=1s',
  'get ns default --request-timeout=20',
  'get ns default --request-timeout=',
  'get ns default --request-timeout=-2s',
  'get ns default --request-timeout=-2',
  'get ns default --request-timeout=2.5',
  'get ns default --request-timeout=soon',
];

const forms = [
  'get pods -A -o json',
  'get pods -A -o yaml',
  'get pod web -o yaml',
  'get pod web -o json',
  'get nodes -o yaml',
  'get pods -o name -A',
  'get leases -A -o name',
  'get nodes,pods -o name',
  'get pod nope -o json',
  'get pods web nope -o name',
  'get pods -l app=nope -o json',
  'get events -o yaml',
  'get --raw /version',
  'get pods --sort-by=.metadata.name -o name',
  'get pods --sort-by=.nope -o name',
  'get pods -o jsonpath',
  'get pods -o custom-columns=A:.metadata.name,BBBBBBBBB:.spec.containers[*].name,C:.nope,D:.metadata.labels',
  'get pods --no-headers -o custom-columns=N:metadata.name',
  'get pods -o custom-columns=x',
  'get pods -o custom-columns=A:{.x',
  'get pods -o jsonpath={.x',
  'get -A pods -o custom-columns=N:.metadata.name --chunk-size=1',
];

const templates = [
  'plain',
  '{}',
  '{@}',
  '{.kind}{.apiVersion} {.metadata}',
  '{.items[*].metadata.name}',
  '{.items[1].spec.containers[1]}',
  '{range .items[*]}{.metadata.name}{"\\t"}{range .spec.containers[*]}{.name}={.image},{end}{"\\n"}{end}done',
  '{.items[-1:].metadata.name} {.items[0:2].metadata.name} {.items[::2].metadata.name} {.items[0,1].kind}',
  "{.items[*].metadata['name','namespace']}",
  '{.items[?(@.metadata.name=="web")].metadata.labels.x\\.io/y}',
  '{.items[?(@.metadata.labels.tier)].metadata.name}',
  '{.items[?(@.status.phase!="Running")].metadata.name}',
  '{.items[1].status.containerStatuses[?(@.restartCount>=1)].name}',
  '{..containerPort}',
  '{.items[1]..mountPath}',
  '{.items[9].metadata.name}',
  '{.items[1].metadata.name[0]}',
  '{.items[?(@.kind==5)]}',
  '{.a',
  '{foo}',
  '{end}',
  '{"\\q"}',
];

/** None of them deletes anything. */
const deletions = [
  'delete pod web --dry-run=server',
  'delete pod web --dry-run=client',
  'delete pod web --dry-run=client -o name',
  'delete pod web api --dry-run=server -o name',
  'delete pod nope --dry-run=client',
  'delete pod nope --dry-run=server',
  'delete pods --all -A --dry-run=server',
  'delete pods --all -A --dry-run=client -o name',
  'delete pods -A -l app=dns --dry-run=server',
  'delete pods --field-selector metadata.name=web --dry-run=server',
  'delete pods --field-selector metadata.name=nope --dry-run=server',
  'delete pods -A --field-selector metadata.namespace=kube-system --dry-run=client',
  'delete pods web -A --dry-run=client',
  'delete ns --all --dry-run=client',
  'delete all --all --dry-run=server',
  'delete pod web --now --grace-period=3 --dry-run=client',
  'delete pod web --force --grace-period=3 --dry-run=client',
  'delete pod web --cascade=orphan --dry-run=server',
  'delete pod web --cascade --dry-run=server',
];

/** None of them creates a pod. */
const runs = [
  'run',
  'run x',
  'run x --image=',
  'run --image=i',
  'run x --image=i --restart=foo',
  'run x --image=i --image-pull-policy=foo',
  'run x --image=i -t',
  'run x --image=i --rm',
  'run x --image=i -i --dry-run=client',
  'run x --image=i --attach --dry-run=server',
  'run x --image=i -i --attach=false --dry-run=client',
  'run x --image=i -i --pod-running-timeout=0',
  'run x --image=i -i --pod-running-timeout=-2s',
  'run x --image=i --dry-run=client --overrides={x',
  'run x --image=i --dry-run=client --overrides="s"',
  'run x --image=i --dry-run=client -o name --overrides={"metadata":{"name":"y"}}',
];

const described = [
  'describe pod web',
  'describe pods',
  'describe pod/api node/n1',
  'describe node n1',
  'describe nodes --show-events=false',
  'describe ns default',
  'describe ns',
  'describe all',
  'describe sa default',
  'describe pod we',
  'describe pod nope',
  'describe pods -n nope',
  'describe pod one -n nope',
  'describe pods -l app=api',
  'describe lease n1 -n kube-node-lease',
  'describe pods -A --chunk-size=1',
];

const waits = [
  'wait pod/web --for=condition=PodScheduled',
  'wait pod/web --for=condition=podscheduled=true --timeout=1s',
  'wait pod/web --for=condition=Ready --timeout=1s',
  'wait pod/web --for=condition=Ready --timeout=0',
  'wait pod/web --for=condition=Ready=False --timeout=0',
  'wait pod/web --for=jsonpath={.status.phase}=Running',
  "wait pod/web --for=jsonpath={.status.phase}='Running'",
  'wait pod/web --for=jsonpath=.status.phase=Running',
  'wait pod/web --for=jsonpath=status.phase=running --timeout=0',
  'wait pod/web --for=jsonpath={.status.podIP}',
  'wait pod/web --for=jsonpath={.metadata.labels}',
  'wait pod/web --for=jsonpath={.status.containerStatuses[0].restartCount}=2',
  'wait pod/web --for=jsonpath={.status.containerStatuses[1].ready}=false',
  'wait pod/web --for=jsonpath={.status.conditions[?(@.type=="Ready")].status}=False',
  'wait pod/web --for=jsonpath=.status.conditions[?(@.type=="Ready")].status=False',
  'wait pod/web --for=jsonpath={.status.conditions[*].type}=Ready --timeout=1s',
  'wait pod/web --for=jsonpath={.metadata.labels}=x --timeout=1s',
  'wait pod/web --for=jsonpath={.status.phase}=',
  'wait pod/web --for=jsonpath={.status.phase',
  'wait pod/web --for=jsonpath=',
  'wait pod/web pod/nope node/n1 --for=jsonpath={.metadata.name} --timeout=1s',
  'wait pod/nope --for=condition=Ready',
  'wait pod/nope --for=delete',
  'wait pod/one -n nope --for=condition=Ready',
  'wait pod/one -n nope --for=delete',
  'wait pod/nope --for=create --timeout=1s',
  'wait pod/web --for=create',
  'wait pod/web --for=jsonpath={.status.phase}=Running --timeout=-1s',
  'wait pod/nope --for=delete --timeout=-1s',
  'wait pods --all -A --for=create -o name',
  'wait pod/web --for=delete --timeout=0',
  'wait pod/web --for=Delete --timeout=1s',
  'wait pods --all --for=jsonpath={.metadata.namespace}=default',
  'wait pods --all -A --for=jsonpath={.metadata.name} --timeout=1s',
  'wait pods --field-selector metadata.name=api --for=create --timeout=1s',
  'wait pods -l app=nope --for=condition=Ready --timeout=1s',
  'wait pods -l app=nope --for=delete --timeout=1s',
];

const account = (metadata: ApiObject['metadata']): ApiObject => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata,
});

/** What `-f` names, by file. */
const manifests: Readonly<Record<string, object>> = {
  'elsewhere.json': account({ name: 'elsewhere', namespace: 'kube-system' }),
  'applied.json': account({ name: 'applied', namespace: 'default', labels: { a: 'b' } }),
  'changed.json': account({ name: 'applied', namespace: 'default', labels: { a: 'c' } }),
  'generated.json': { ...account({ name: '' }), metadata: { generateName: 'abc-' } },
  'misspelt.json': { ...account({ name: 'misspelt', namespace: 'default' }), secretz: [] },
  'new.json': account({ name: 'new', namespace: 'default' }),
  'strange.json': { ...account({ name: 'strange' }), kind: 'Strange' },
  'newer.json': { ...account({ name: 'newer' }), apiVersion: 'v9' },
  'wrong.json': account({ name: 'Wrong' }),
  'bad-pod.json': { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'bad' }, spec: { containers: [{ name: 'A' }] } },
  'one-wrong.json': list(account({ name: 'n1' }), account({ name: 'Wrong' }), account({ name: 'n2' })),
  'two-wrong.json': list(account({ name: 'Wrong' }), account({ name: 'n1' }), account({ name: 'Bad' })),
};

function list(...items: readonly ApiObject[]): object {
  return { apiVersion: 'v1', kind: 'List', items };
}

/** None of them changes anything: both commands meet the same cluster. */
const ofManifests = [
  'apply -f elsewhere.json -n default',
  'apply -f applied.json --dry-run=server',
  'apply -f changed.json --dry-run=server',
  'apply -f new.json --dry-run=server',
  'apply -f generated.json',
  'apply -f generated.json --dry-run=server',
  'apply -f applied.json -o name',
  'apply -f applied.json -o yaml',
  'apply -f applied.json -o json --show-managed-fields',
  'apply -f changed.json -o yaml --dry-run=server',
  'apply -f applied.json,elsewhere.json -o json --dry-run=client',
  'apply -f applied.json,elsewhere.json -o yaml --dry-run=client',
  'apply -f new.json -o json --dry-run=client',
  'apply -f new.json,applied.json -l a=b -o name --dry-run=server',
  'apply -f new.json,applied.json -l a!=b --dry-run=server',
  'apply -f new.json,applied.json -l a=x --dry-run=server',
  'apply -f new.json -l a==b=c --dry-run=server',
  'apply -f one-wrong.json -o json --dry-run=server',
  'delete -f applied.json -i --dry-run=server',
  'delete pod web nope -i',
  'delete pods --all -A -i',
  'delete pods -l a=nope -i',
  'delete -f applied.json,wrong.json -i --dry-run=client',
  'delete -f strange.json,applied.json -i',
  'apply -f applied.json --dry-run=client',
  'apply -f new.json --dry-run=client',
  ...['false', 'warn', 'ignore'].map((value) => `apply -f misspelt.json --dry-run=server --validate=${value}`),
  'delete -f elsewhere.json -n default',
  'delete -f elsewhere.json --dry-run=client',
  'delete -f elsewhere.json --dry-run=server -o name',
  'describe -f elsewhere.json -n default',
  'describe -f elsewhere.json -n kube-system',
  'get -f elsewhere.json -n default',
  'get -f elsewhere.json -n default -A',
  'get -f elsewhere.json',
  'wait -f elsewhere.json -n default --for=create',
  'apply -f wrong.json --dry-run=server',
  'apply -f bad-pod.json --dry-run=server',
  'apply -f one-wrong.json --dry-run=server',
  'apply -f two-wrong.json --dry-run=server',
  'apply -f one-wrong.json --dry-run=client',
  'apply -f new.json -f elsewhere.json -n default --dry-run=server',
  'apply -f new.json,applied.json --dry-run=server',
  'get -f applied.json,elsewhere.json -o name',
  'get -f a"b',
  'get -f "a,b"',
  'get -f "a,b',
  'get -f "a"b',
  'apply -f new.json -f one-wrong.json --dry-run=server',
  'get -f new.json -f elsewhere.json -f wrong.json',
  'apply -f strange.json -f new.json --dry-run=server',
  'apply -f newer.json -f new.json --dry-run=server',
  'apply -f generated.json -f new.json --dry-run=server',
  'apply -f new.json -f nope.json --dry-run=server',
  'delete -f one-wrong.json --dry-run=server',
  'delete -f one-wrong.json --dry-run=server --ignore-not-found',
  'delete -f one-wrong.json --all --dry-run=server',
  'delete -f new.json --all --ignore-not-found=false --dry-run=server',
  'delete -f new.json -f elsewhere.json --dry-run=server',
  'delete -f wrong.json -f elsewhere.json --dry-run=client',
  'delete sa -l app=nope',
  'describe -f one-wrong.json',
  'describe -f elsewhere.json -f wrong.json',
  'wait -f one-wrong.json --for=condition=Ready --timeout=1s',
];

describeWithPeer('kubectl', 'podwire beside a real kubectl', () => {
  let folder: string;
  let world: ApiWorld;
  let kubectl: Kubectl;
  let kubeconfig: string;

  async function podwire(args: readonly string[]): Promise<string> {
    const io = new MemoryIo(Readable.from([]));
    const [command = '', ...rest] = args;
    const code = await runCli([command, '--kubeconfig', kubeconfig, ...rest], io);
    return `${io.out.text}${firstLines(io.err.text)}exit ${code}`;
  }

  async function kubectlSays(args: readonly string[]): Promise<string> {
    const { stdout, stderr, exitCode } = await kubectl.run(args);
    return `${stdout.toString()}${firstLines(stderr.toString())}exit ${exitCode}`;
  }

  /** The same bytes and exit code; again where an age went on between the two. */
  async function sameFor(args: readonly string[]): Promise<void> {
    let both: readonly string[] = [];
    for (let attempt = 0; attempt < 5; attempt += 1) {
      both = await Promise.all([podwire(args), kubectlSays(args)]);
      if (both[0] === both[1]) return;
    }
    // On a busy machine each of them says another age: then the same but for ages and the spaces behind them.
    expect(withoutAges(both[0] ?? '')).toBe(withoutAges(both[1] ?? ''));
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'podwire-manifests-'));
    for (const [file, object] of Object.entries(manifests)) writeFileSync(join(folder, file), JSON.stringify(object));
    world = await ApiWorld.start({ controllers: ['namespace'] });
    const { registry } = world.server;
    await registry.create(nodes, node);
    await registry.create(serviceAccounts, account({ name: 'elsewhere', namespace: 'kube-system' }));
    for (const pod of [plain('api'), full, plain('dns', 'kube-system')]) await registry.create(pods, pod);
    await registry.update(pods, { namespace: 'default', name: 'web' }, (one) => ({ ...one, status }), {
      scope: 'status',
    });
    await registry.create(leases, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'n1', namespace: 'kube-node-lease' },
      spec: { holderIdentity: 'n1', leaseDurationSeconds: 40, renewTime: '2026-01-02T03:04:05.678901Z' },
    });
    const { uid } = (await registry.get(pods, { namespace: 'default', name: 'web' })).metadata;
    for (const [name, count, at] of [
      ['late', 3, '2026-01-02T03:05:05Z'],
      ['early', 1, time],
    ] as const) {
      await registry.create(events, {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name, namespace: 'default' },
        involvedObject: {
          kind: 'Pod',
          name: 'web',
          namespace: 'default',
          uid: uid ?? '',
          fieldPath: 'spec.containers{main}',
        },
        type: 'Normal',
        reason: 'Started',
        message: `Started ${name}\n`,
        source: { component: 'kubelet', host: 'n1' },
        count,
        firstTimestamp: time,
        lastTimestamp: at,
      });
    }
    const pair = await world.issue({ commonName: 'ann', organizations: ['system:masters'] });
    kubeconfig = world.kubeconfig('ann', { pair });
    kubectl = await Kubectl.create({ kubeconfig });
    await kubectl.must('apply', '-f', join(folder, 'applied.json'));
  });

  afterAll(async () => {
    kubectl[Symbol.dispose]();
    await world[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(table)('%s', (line) => sameFor(line.split(' ')));
  it.each(forms)('%s', (line) => sameFor(line.split(' ')));
  it.each(templates)('get pods -o jsonpath=%s', (template) => sameFor(['get', 'pods', '-o', `jsonpath=${template}`]));
  it('get pods -o jsonpath-as-json', () =>
    sameFor(['get', 'pods', '-o', 'jsonpath-as-json={.items[*].metadata}{.kind}']));
  it.each(described)('%s', (line) => sameFor(line.split(' ')));
  it.each(deletions)('%s', (line) => sameFor(line.split(' ')));
  it.each(runs)('%s', (line) => sameFor(line.split(' ')));
  it.each(waits)('%s', { timeout: 60_000 }, (line) => sameFor(line.split(' ')));

  it.each(ofManifests)('%s', (line) =>
    sameFor(
      line.split(' ').map((word) =>
        word
          .split(',')
          .map((file) => (file in manifests ? join(folder, file) : file))
          .join(','),
      ),
    ),
  );

  it('tells a stranger what kubectl tells him', async () => {
    const bob = world.kubeconfig('bob', { token: testTokens.bob });
    for (const line of ['get pods', 'get node n1', 'describe node n1']) {
      await sameFor([...line.split(' '), '--kubeconfig', bob]);
    }
  });

  describe('get -w', () => {
    let watched = 0;

    /** What both print while pods come and go. */
    async function watchBoth(flags: readonly string[]): Promise<readonly [ours: string, theirs: string]> {
      watched += 1;
      const label = `watched${watched}`;
      const { registry } = world.server;
      const create = (name: string): Promise<unknown> =>
        registry.create(pods, {
          ...plain(`${label}-${name}`),
          metadata: { name: `${label}-${name}`, namespace: 'default', labels: { app: label } },
        });
      await create('first');
      const args = ['pods', '-w', '-l', `app=${label}`, ...flags];
      const io = new MemoryIo(Readable.from([]));
      let theirs = '';
      const end = new AbortController();
      const ended = Promise.all([
        runCli(['get', '--kubeconfig', kubeconfig, ...args], io),
        kubectl.run(['get', ...args], {
          signal: end.signal,
          onStdout: (chunk) => {
            theirs += chunk.toString();
          },
        }),
      ]);
      const untilBothSay = (name: string): Promise<void> =>
        expect
          .poll(() => [io.out.text, theirs].map((text) => text.includes(`${label}-${name}`)), { timeout: 15_000 })
          .toEqual([true, true]);
      await untilBothSay('first');
      await create('second-with-a-longer-name');
      await registry.delete(pods, { namespace: 'default', name: `${label}-second-with-a-longer-name` });
      await create('z');
      await untilBothSay('z');
      io.signal('SIGINT');
      end.abort();
      const [code] = await ended;
      expect(code, io.err.text).toBe(1);
      return [io.out.text, theirs];
    }

    it.each([
      ['as a table', ['-L', 'app', '--output-watch-events']],
      ['as a wide table of all namespaces', ['-A', '-o', 'wide']],
      ['as JSON', ['-o', 'json']],
      ['as YAML', ['-o', 'yaml']],
      ['as names', ['-o', 'name']],
      ['as columns', ['-o', 'custom-columns=N:.metadata.name,PHASE:.status.phase']],
      ['as events', ['-o', 'json', '--output-watch-events']],
    ] as const)('%s', { timeout: 60_000 }, async (_what, flags) => {
      let both: readonly [string, string] = ['', ''];
      for (let attempt = 0; attempt < 3; attempt += 1) {
        both = await watchBoth(flags);
        if (both[0] === both[1]) return;
      }
      expect(withoutAges(both[0])).toBe(withoutAges(both[1]));
    });

    it('ends with --request-timeout, as kubectl', { timeout: 30_000 }, () =>
      sameFor(['get', 'pod', 'api', '-w', '--no-headers', '-o', 'name', '--request-timeout=1s']),
    );
  });
});

/** Of an error its first line: podwire says more, kubectl shows its innards. */
function firstLines(text: string): string {
  return text
    .split('\n')
    .filter((line) => /^(?:Error from server|error:|The |\* |warning:|No resources|Warning)/.test(line))
    .map((line) => line.replace(/\. Printing more information for debugging the template:$/, '').concat('\n'))
    .join('');
}
