import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClientConfig } from './client-config.ts';

const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * What a pod's service account gives: the API's address from the environment, token and CA from the mounted folder.
 *
 * @returns undefined outside a pod
 */
export async function inClusterConfig(
  env: NodeJS.ProcessEnv,
  folder: string = SERVICE_ACCOUNT_FOLDER,
): Promise<ClientConfig | undefined> {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'];
  const tokenFile = join(folder, 'token');
  if (!host || !port || (await readText(tokenFile)) === undefined) return undefined;
  const namespace = (await readText(join(folder, 'namespace')))?.trim();
  return {
    server: new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`),
    namespace: namespace === undefined || namespace === '' ? 'default' : namespace,
    certificateAuthority: { file: join(folder, 'ca.crt') },
    tokenFile,
  };
}

async function readText(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined);
}
