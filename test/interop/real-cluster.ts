import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEMO_POD, NODE_NAME } from '../../src/cluster/index.ts';
import { HOST_IMAGE } from '../../src/runtime/index.ts';
import { Containerd } from '../support/containerd.ts';
import type { ExecClient } from '../support/exec-client.ts';
import { TEST_IMAGE } from '../support/image.ts';
import { KubeApiserver, type KubeApiserverOptions } from '../support/kube-apiserver.ts';
import { Kubectl } from '../support/kubectl.ts';
import { PodwireHop } from '../support/podwire.ts';
import type { ExecTarget } from './exec-suite.ts';

/** What runs the pods of the node. `host` is our runtime with the image that runs commands of this machine. */
export type NodeRuntime = 'containerd' | 'host';

/**
 * A real kube-apiserver with one node, which is our kubelet as a process: it joined by a client certificate of its own and
 * is held by the node authorizer and NodeRestriction. The node is NODE_NAME, and DEMO_POD runs on it.
 *
 * Owns: all of that.
 */
export interface RealCluster extends AsyncDisposable {
  readonly apiserver: KubeApiserver;
  /** `undefined` with our runtime. */
  readonly containerd: Containerd | undefined;
  readonly kubelet: PodwireHop;
  readonly admin: Kubectl;
  /** What the node's runtime has for pods: a shell and the usual small tools. */
  readonly image: string;
  /** Static pods of the node. */
  readonly manifests: string;
}

/** Resolves when the demo pod is ready. Needs `npm run build`. */
export async function startRealCluster(
  runtimeName: NodeRuntime,
  options: KubeApiserverOptions = {},
): Promise<RealCluster> {
  const closers: (() => unknown)[] = [];
  const dispose = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close();
  };
  try {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-node-'));
    closers.push(() => rmSync(folder, { recursive: true, force: true }));
    const apiserver = await KubeApiserver.start(options);
    closers.push(() => apiserver[Symbol.asyncDispose]());
    const containerd = runtimeName === 'containerd' ? await Containerd.start() : undefined;
    closers.push(() => containerd?.dispose());
    const runtime = containerd
      ? undefined
      : await PodwireHop.start('runtime', ['--state-dir', join(folder, 'runtime')]);
    closers.push(() => runtime?.stop());
    const manifests = join(folder, 'manifests');
    mkdirSync(manifests);
    const kubelet = await joinAsNode(apiserver, [
      `--container-runtime-endpoint=${containerd?.endpoint ?? runtime?.address ?? ''}`,
      `--root-dir=${join(folder, 'kubelet')}`,
      `--pod-manifest-path=${manifests}`,
    ]);
    closers.push(() => kubelet.stop());
    const admin = await Kubectl.create({ kubeconfig: apiserver.adminKubeconfig });
    closers.push(() => admin[Symbol.dispose]());
    const image = containerd ? TEST_IMAGE : HOST_IMAGE;
    await runDemoPod(admin, apiserver, image);
    return { apiserver, containerd, kubelet, admin, image, manifests, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Our kubelet, with what kubeadm would give it. */
async function joinAsNode(apiserver: KubeApiserver, flags: readonly string[]): Promise<PodwireHop> {
  const user = { commonName: `system:node:${NODE_NAME}`, organizations: ['system:nodes'] };
  const serving = await apiserver.issue('kubelet', { ...user, hosts: ['127.0.0.1'], usages: ['server'] });
  const pair = await apiserver.issue('node', { ...user, usages: ['client'] });
  return await PodwireHop.start('kubelet', [
    `--kubeconfig=${await apiserver.kubeconfig('node', { pair })}`,
    `--client-ca-file=${apiserver.caFile}`,
    `--tls-cert-file=${serving.certificateFile}`,
    `--tls-private-key-file=${serving.keyFile}`,
    `--hostname-override=${NODE_NAME}`,
    '--node-ip=127.0.0.1',
    '--port=0',
    '--healthz-port=0',
    ...flags,
  ]);
}

/** A pod bound to the node by its spec, for no scheduler runs. */
export function podManifest(
  name: string,
  image: string,
  more: { readonly spec?: object; readonly container?: object } = {},
): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      nodeName: NODE_NAME,
      hostNetwork: true,
      terminationGracePeriodSeconds: 1,
      ...more.spec,
      containers: [
        {
          name,
          image,
          imagePullPolicy: 'IfNotPresent',
          command: ['/bin/sh', '-c', 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done'],
          ...more.container,
        },
      ],
    },
  });
}

async function runDemoPod(admin: Kubectl, apiserver: KubeApiserver, image: string): Promise<void> {
  // No controller makes what every pod gets: the account, and the authority by which it knows the apiserver.
  const rootCa = { metadata: { name: 'kube-root-ca.crt' }, data: { 'ca.crt': apiserver.authority.certificate } };
  for (const object of [
    JSON.stringify({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } }),
    JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', ...rootCa }),
    podManifest(DEMO_POD.name, image),
  ]) {
    const { exitCode, stderr } = await admin.run(['create', '-f', '-'], { stdin: Buffer.from(object) });
    if (exitCode !== 0) throw new Error(stderr.toString());
  }
  await admin.must('wait', '--for=condition=Ready', `pod/${DEMO_POD.name}`, '--timeout=60s');
}

/** The demo pod of a real cluster, for the interop suites; `reach` gives a client of it, or of what stands before it. */
export function demoPodTarget(reach: () => Promise<ExecClient>): () => Promise<ExecTarget> {
  return async () => {
    const client = await reach();
    const dispose = async (): Promise<void> => {
      if (client instanceof Kubectl) client[Symbol.dispose]();
    };
    const { namespace, name, container } = DEMO_POD;
    return { client, container: { namespace, pod: name, container }, [Symbol.asyncDispose]: dispose };
  };
}

/** Which way streams take behind the gateway. */
export type UpstreamStreams = 'apiserver' | 'kubelet';

/** `podwire apiserver --upstream-kubeconfig` before a real cluster: its own rights there are those that ADR 50 names. */
export async function startGatewayBefore(
  { apiserver, admin }: RealCluster,
  flags: readonly string[],
): Promise<PodwireHop> {
  await admin.must('apply', '-f', await gatewayRights(apiserver.folder));
  const upstream = await apiserver.kubeconfig('gateway', { groups: [] });
  const serving = await apiserver.issue('gateway', {
    commonName: 'podwire-apiserver',
    hosts: ['127.0.0.1'],
    usages: ['server'],
  });
  const { kubeletClient, caFile } = apiserver;
  return await PodwireHop.start('apiserver', [
    `--upstream-kubeconfig=${upstream}`,
    '--secure-port=0',
    `--cert-dir=${apiserver.folder}`,
    `--tls-cert-file=${serving.certificateFile}`,
    `--tls-private-key-file=${serving.keyFile}`,
    `--client-ca-file=${caFile}`,
    `--token-auth-file=${apiserver.tokenFile}`,
    `--kubelet-client-certificate=${kubeletClient.certificateFile}`,
    `--kubelet-client-key=${kubeletClient.keyFile}`,
    `--kubelet-certificate-authority=${caFile}`,
    '--kubelet-preferred-address-types=InternalIP',
    ...flags,
  ]);
}

async function gatewayRights(folder: string): Promise<string> {
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const metadata = { name: 'podwire-gateway' };
  const rule = (group: string, resources: string[], verbs: string[]): object => ({
    apiGroups: [group],
    resources,
    verbs,
  });
  const rules = [
    rule('', ['users', 'groups', 'serviceaccounts'], ['impersonate']),
    rule('authentication.k8s.io', ['uids', 'userextras'], ['impersonate']),
    rule('authorization.k8s.io', ['subjectaccessreviews'], ['create']),
    rule('', ['pods', 'nodes'], ['get']),
  ];
  const items = [
    { apiVersion, kind: 'ClusterRole', metadata, rules },
    {
      apiVersion,
      kind: 'ClusterRoleBinding',
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'gateway' }],
    },
  ];
  const file = join(folder, 'gateway-rights.json');
  await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  return file;
}
