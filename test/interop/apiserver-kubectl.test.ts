import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiObject } from '../../src/apiserver/index.ts';
import { nodes, pods } from '../../src/kubeapi/index.ts';
import { ApiWorld, testTokens } from '../support/api-world.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';

const node: ApiObject = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n1', labels: { 'kubernetes.io/hostname': 'n1' } },
  status: {
    addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
    conditions: [{ type: 'Ready', status: 'True' }],
    nodeInfo: {
      machineID: '',
      systemUUID: '',
      bootID: '',
      kernelVersion: '6.18.0',
      osImage: 'Debian 12',
      containerRuntimeVersion: 'containerd://1.6.20',
      kubeletVersion: 'v1.32.0+podwire',
      operatingSystem: 'linux',
      architecture: 'amd64',
    },
  },
};

const pod = (name: string, app: string, namespace = 'default'): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels: { app } },
  spec: { nodeName: 'n1', containers: [{ name: 'main', image: 'busybox:1' }] },
});

const running = {
  phase: 'Running',
  podIP: '10.1.0.5',
  conditions: [{ type: 'Ready', status: 'True' }],
  containerStatuses: [
    { name: 'main', ready: true, restartCount: 0, image: 'busybox:1', imageID: '', state: { running: {} } },
  ],
};

describeWithPeer('kubectl', 'the apiserver and a real kubectl', () => {
  let world: ApiWorld;
  let admin: Kubectl;
  let bob: Kubectl;

  /** What it printed and how it ended, for those that fail. */
  async function outcomeOf(kubectl: Kubectl, ...args: string[]): Promise<string> {
    const { stdout, stderr, exitCode } = await kubectl.run(args);
    return `${stdout.toString()}${stderr.toString()}exit ${exitCode}`;
  }

  beforeAll(async () => {
    world = await ApiWorld.start({ controllers: ['namespace'] });
    const { registry } = world.server;
    await registry.create(nodes, node);
    for (const [name, app] of [
      ['web', 'front'],
      ['api', 'back'],
    ]) {
      await registry.create(pods, pod(name ?? '', app ?? ''));
    }
    await registry.create(pods, pod('dns', 'dns', 'kube-system'));
    await registry.update(pods, { namespace: 'default', name: 'web' }, (one) => ({ ...one, status: running }), {
      scope: 'status',
    });
    const pair = await world.issue({ commonName: 'ann', organizations: ['system:masters'] });
    admin = await Kubectl.create({ kubeconfig: world.kubeconfig('ann', { pair }) });
    bob = await Kubectl.create({ kubeconfig: world.kubeconfig('bob', { token: testTokens.bob }) });
  });

  afterAll(async () => {
    admin[Symbol.dispose]();
    bob[Symbol.dispose]();
    await world[Symbol.asyncDispose]();
  });

  it('version, cluster-info and raw paths', async () => {
    expect(await admin.must('version')).toContain('Server Version: v1.32.0+podwire');
    expect(await admin.must('get', '--raw', '/healthz')).toBe('ok');
    expect(JSON.parse(await admin.must('get', '--raw', '/api/v1/namespaces/default/pods/web'))).toMatchObject({
      kind: 'Pod',
      metadata: { name: 'web' },
    });
    expect(await outcomeOf(admin, 'get', '--raw', '/nope')).toBe(
      'Error from server (NotFound): the server could not find the requested resource\nexit 1',
    );
  });

  it('api-resources and api-versions', async () => {
    const resources = await admin.must('api-resources', '--no-headers');
    const words = resources
      .trim()
      .split('\n')
      .map((line) => line.split(/ +/).join(' '));
    expect(words).toEqual(
      expect.arrayContaining([
        'pods po v1 true Pod',
        'nodes no v1 false Node',
        'namespaces ns v1 false Namespace',
        'events ev v1 true Event',
        'serviceaccounts sa v1 true ServiceAccount',
        'leases coordination.k8s.io/v1 true Lease',
        'selfsubjectreviews authentication.k8s.io/v1 false SelfSubjectReview',
      ]),
    );
    expect(await admin.must('api-versions')).toBe(
      'authentication.k8s.io/v1\nauthorization.k8s.io/v1\ncoordination.k8s.io/v1\nstorage.k8s.io/v1\nv1\n',
    );
  });

  it('get in every form', async () => {
    expect(await admin.must('get', 'pods')).toMatch(
      /^NAME +READY +STATUS +RESTARTS +AGE\napi +0\/1 +Pending +0 +\d+s\nweb +1\/1 +Running +0 +\d+s\n$/,
    );
    expect(await admin.must('get', 'pods', '-o', 'wide')).toMatch(
      /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\napi .*<none> +n1 +<none> +<none>\nweb .*10\.1\.0\.5 +n1 +<none> +<none>\n$/,
    );
    expect(
      await admin.must(
        'get',
        'pods',
        '-A',
        '--no-headers',
        '-o',
        'custom-columns=:.metadata.namespace,:.metadata.name',
      ),
    ).toBe('default       api\ndefault       web\nkube-system   dns\n');
    expect(await admin.must('get', 'nodes', '-o', 'wide')).toMatch(
      /\nn1 +Ready +<none> +\d+s +v1\.32\.0\+podwire +10\.0\.0\.1 +<none> +Debian 12 +6\.18\.0 +containerd:\/\/1\.6\.20\n$/,
    );
    expect(await admin.must('get', 'ns')).toMatch(/^NAME +STATUS +AGE\ndefault +Active +\d+s\nkube-node-lease /);
    expect(await admin.must('get', 'pods', '-o', 'name')).toBe('pod/api\npod/web\n');
    expect(await admin.must('get', 'pod/web', 'node/n1', '-o', 'name')).toBe('pod/web\nnode/n1\n');
    const list = JSON.parse(await admin.must('get', 'pods', '-o', 'json')) as { items: { kind: string }[] };
    expect(list.items.map(({ kind }) => kind)).toEqual(['Pod', 'Pod']);
    expect(await admin.must('get', 'pod', 'web', '-o', 'yaml')).toMatch(/^apiVersion: v1\nkind: Pod\nmetadata:\n/);
    expect(await admin.must('get', 'pod', 'web', '-o', 'jsonpath={.status.podIP}')).toBe('10.1.0.5');
    expect(await admin.must('get', 'pods', '--sort-by=.metadata.name', '-o', 'name')).toBe('pod/api\npod/web\n');
  });

  it('selectors, and pages of one object', async () => {
    expect(await admin.must('get', 'pods', '-l', 'app=front', '-o', 'name')).toBe('pod/web\n');
    expect(await admin.must('get', 'pods', '-l', 'app in (front,back),!gone', '-o', 'name')).toBe('pod/api\npod/web\n');
    expect(await admin.must('get', 'pods', '--field-selector', 'status.phase=Running', '-o', 'name')).toBe('pod/web\n');
    expect(await admin.must('get', 'pods', '-A', '--field-selector', 'metadata.namespace!=default', '-o', 'name')).toBe(
      'pod/dns\n',
    );
    expect(await admin.must('get', 'pods', '-A', '--chunk-size=1', '-o', 'name')).toBe('pod/api\npod/web\npod/dns\n');
    expect(await outcomeOf(admin, 'get', 'pods', '--field-selector', 'spec.foo=1')).toContain(
      'field label not supported: spec.foo',
    );
  });

  it('says word for word what is not there and what is not allowed', async () => {
    expect(await outcomeOf(admin, 'get', 'pod', 'nope')).toBe(
      'Error from server (NotFound): pods "nope" not found\nexit 1',
    );
    expect(await outcomeOf(admin, 'get', 'ns', 'nope')).toBe(
      'Error from server (NotFound): namespaces "nope" not found\nexit 1',
    );
    expect(await outcomeOf(admin, 'get', 'pods', '-n', 'nope')).toBe('No resources found in nope namespace.\nexit 0');
    expect(await outcomeOf(admin, 'run', 'x', '--image=i', '-n', 'nope')).toBe(
      'Error from server (NotFound): namespaces "nope" not found\nexit 1',
    );
    expect(await outcomeOf(admin, 'get', 'widgets')).toBe(
      'error: the server doesn\'t have a resource type "widgets"\nexit 1',
    );
    expect(await outcomeOf(admin, 'run', 'web', '--image=i')).toBe(
      'Error from server (AlreadyExists): pods "web" already exists\nexit 1',
    );
    expect(await outcomeOf(bob, 'get', 'pods')).toBe(
      'Error from server (Forbidden): pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default"\nexit 1',
    );
    expect(await outcomeOf(bob, 'get', 'node', 'n1')).toBe(
      'Error from server (Forbidden): nodes "n1" is forbidden: User "bob" cannot get resource "nodes" in API group "" at the cluster scope\nexit 1',
    );
    expect(await outcomeOf(admin, 'get', 'pods', '--as=bob')).toContain('User "bob" cannot list resource "pods"');
    using stranger = await Kubectl.create({ kubeconfig: world.kubeconfig('stranger', { token: 'nope' }) });
    expect(await outcomeOf(stranger, 'get', 'pods')).toContain(
      'error: You must be logged in to the server (the server has asked for the client to provide credentials)\nexit 1',
    );
    expect(await outcomeOf(stranger, 'get', '--raw', '/version')).toBe(
      'error: You must be logged in to the server (Unauthorized)\nexit 1',
    );
  });

  it('auth can-i and whoami, whose bodies are protobuf', async () => {
    expect(await outcomeOf(admin, 'auth', 'can-i', 'create', 'pods/exec')).toBe('yes\nexit 0');
    expect(await outcomeOf(bob, 'auth', 'can-i', 'create', 'pods/exec')).toBe('no\nexit 1');
    expect(await outcomeOf(bob, 'auth', 'can-i', 'get', '/version')).toBe('yes\nexit 0');
    expect(await bob.must('auth', 'whoami')).toMatch(/Username +bob\nUID +2\nGroups +\[dev ops system:authenticated\]/);
    expect(await bob.must('auth', 'can-i', '--list')).toContain('selfsubjectreviews.authentication.k8s.io');
  });

  it('exec into a pod where nothing serves exec says so', async () => {
    expect(await outcomeOf(admin, 'exec', 'web', '--', 'ls')).toBe(
      'Error from server (NotImplemented): this server does not serve exec\nexit 1',
    );
    expect(await outcomeOf(admin, 'logs', 'web')).toBe(
      'Error from server (NotImplemented): this server does not serve logs\nexit 1',
    );
  });

  it('create, apply, label, annotate, patch, wait and delete', async () => {
    const manifest = (labels: object): Uint8Array =>
      Buffer.from(
        JSON.stringify({
          ...pod('made', 'made'),
          metadata: { name: 'made', labels },
          spec: { containers: [{ name: 'c', image: 'i' }] },
        }),
      );
    const apply = async (labels: object): Promise<string> =>
      (await admin.run(['apply', '-f', '-'], { stdin: manifest(labels) })).stdout.toString();
    expect(await apply({ a: '1' })).toBe('pod/made created\n');
    expect(await apply({ a: '1' })).toBe('pod/made unchanged\n');
    expect(await apply({ b: '2' })).toBe('pod/made configured\n');
    expect(await admin.must('get', 'pod', 'made', '-o', 'jsonpath={.metadata.labels}')).toBe('{"b":"2"}');
    expect(await admin.must('label', 'pod', 'made', 'tier=x')).toBe('pod/made labeled\n');
    expect(await admin.must('annotate', 'node', 'n1', 'note=y')).toBe('node/n1 annotated\n');
    for (const [type, patch] of [
      ['merge', '{"metadata":{"labels":{"m":"1"}}}'],
      ['strategic', '{"spec":{"containers":[{"name":"c","image":"j"}]}}'],
      ['json', '[{"op":"remove","path":"/metadata/labels/b"}]'],
    ] as const) {
      expect(await admin.must('patch', 'pod', 'made', `--type=${type}`, '-p', patch)).toBe('pod/made patched\n');
    }
    expect(await admin.must('get', 'pod', 'made', '-o', 'jsonpath={.metadata.labels}{.spec.containers[*].image}')).toBe(
      '{"m":"1","tier":"x"}j',
    );
    const serverSide = await admin.run(['apply', '--server-side', '-f', '-'], { stdin: manifest({}) });
    expect(serverSide.stderr.toString()).toContain('server-side apply is not there');
    expect(await admin.must('create', 'namespace', 'mine')).toBe('namespace/mine created\n');
    expect(await admin.must('create', 'serviceaccount', 'robot', '-n', 'mine')).toBe('serviceaccount/robot created\n');
    expect(await admin.must('delete', 'serviceaccount', 'robot', '-n', 'mine')).toBe(
      'serviceaccount "robot" deleted\n',
    );
    expect(await admin.must('delete', 'ns', 'mine')).toBe('namespace "mine" deleted\n');
    expect(await admin.must('delete', 'pod', 'made')).toBe('pod "made" deleted\n');
    expect(await admin.must('wait', '--for=condition=Ready', 'pod/web', '--timeout=5s')).toBe(
      'pod/web condition met\n',
    );
    expect(await admin.must('run', 'short', '--image=i')).toBe('pod/short created\n');
    expect(await admin.must('delete', 'pod', '--all', '-n', 'kube-public')).toBe('No resources found\n');
    expect(await admin.must('delete', 'pod', 'short', '--now')).toBe('pod "short" deleted\n');
  });

  it('describe finds events and leases', async () => {
    const { uid } = (await world.server.registry.get(pods, { namespace: 'default', name: 'web' })).metadata;
    await world.call('/api/v1/namespaces/default/events', {
      method: 'POST',
      body: {
        metadata: { name: 'web.1' },
        involvedObject: { kind: 'Pod', name: 'web', namespace: 'default', uid },
        reason: 'Started',
        message: 'Started container main',
        type: 'Normal',
        count: 1,
        lastTimestamp: new Date().toISOString(),
      },
    });
    expect(await admin.must('describe', 'pod', 'web')).toMatch(
      /Events:[^]*Normal +Started +\S+ +Started container main/,
    );
    expect(await admin.must('get', 'events')).toMatch(/\n\d+s +Normal +Started +pod\/web +Started container main\n$/);
    expect(await admin.must('describe', 'node', 'n1')).toMatch(
      /Lease: +Failed to get lease: leases.coordination.k8s.io "n1" not found/,
    );
  });

  describe('get -w', () => {
    let child: ChildProcess;
    afterAll(() => child.kill());

    it('prints each change of a pod as a row', async () => {
      const { argv, env } = admin.commandLine('get', 'pods', '-w', '--no-headers', '-l', 'app=watched');
      const [program = '', ...args] = argv;
      const started = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
      child = started;
      const lines = createInterface({ input: started.stdout })[Symbol.asyncIterator]();
      const next = async (): Promise<string> => String((await lines.next()).value).replaceAll(/ +/g, ' ');
      const { registry } = world.server;
      await registry.create(pods, pod('seen', 'watched'));
      expect(await next()).toMatch(/^seen 0\/1 Pending 0 \d+s$/);
      const address = { namespace: 'default', name: 'seen' };
      await registry.update(pods, address, (one) => ({ ...one, status: running }), { scope: 'status' });
      expect(await next()).toMatch(/^seen 1\/1 Running 0 \d+s$/);
      await registry.delete(pods, address);
      expect(await next()).toMatch(/^seen 1\/1 Terminating 0 \d+s$/);
      const ended = once(started, 'close');
      started.kill();
      await ended;
    });
  });
});
