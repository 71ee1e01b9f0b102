import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClusterEntry, Kubeconfig, UserEntry } from './kubeconfig.ts';

const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
const NAME = 'in-cluster';

/**
 * What a pod's service account gives, as a kubeconfig: the API's address from the environment, token and CA from the
 * mounted folder.
 *
 * @returns undefined outside a pod
 */
export async function inClusterKubeconfig(
  env: NodeJS.ProcessEnv,
  folder: string = SERVICE_ACCOUNT_FOLDER,
): Promise<Kubeconfig | undefined> {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'];
  const tokenFile = join(folder, 'token');
  if (!host || !port || (await readText(tokenFile)) === undefined) return undefined;
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const cluster: ClusterEntry = { ...noCluster, server, certificateAuthority: { file: join(folder, 'ca.crt') } };
  const namespace = (await readText(join(folder, 'namespace')))?.trim();
  return {
    files: [folder],
    currentContext: NAME,
    clusters: new Map([[NAME, { file: folder, entry: cluster }]]),
    users: new Map([[NAME, { file: folder, entry: { ...noUser, tokenFile } }]]),
    contexts: new Map([
      [
        NAME,
        { file: folder, entry: { cluster: NAME, user: NAME, namespace: namespace === '' ? undefined : namespace } },
      ],
    ]),
  };
}

const noCluster: ClusterEntry = {
  server: undefined,
  tlsServerName: undefined,
  insecureSkipTlsVerify: false,
  certificateAuthority: undefined,
  proxyUrl: undefined,
  disableCompression: false,
  execConfig: undefined,
};

const noUser: UserEntry = {
  clientCertificate: undefined,
  clientKey: undefined,
  token: undefined,
  tokenFile: undefined,
  username: undefined,
  password: undefined,
  exec: undefined,
  impersonate: {},
};

async function readText(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined);
}
