import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatYaml } from './yaml.ts';

/** One cluster, one user and one context that joins them. */
export interface NewKubeconfig {
  /** Name of the context, the cluster and the user. */
  readonly name: string;
  /** `https://127.0.0.1:6443` */
  readonly server: string;
  readonly namespace?: string;
  /** PEM; embedded. */
  readonly certificateAuthority?: string;
  readonly tlsServerName?: string;
  /** PEM; embedded. */
  readonly clientCertificate?: string;
  readonly clientKey?: string;
  readonly token?: string;
}

/** The text of a kubeconfig that stands alone: everything is embedded, its one context is the current one. */
export async function formatKubeconfig(what: NewKubeconfig): Promise<string> {
  const { name } = what;
  return formatYaml({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [
      {
        name,
        cluster: {
          server: what.server,
          ...base64Field('certificate-authority-data', what.certificateAuthority),
          ...(what.tlsServerName === undefined ? {} : { 'tls-server-name': what.tlsServerName }),
        },
      },
    ],
    users: [
      {
        name,
        user: {
          ...base64Field('client-certificate-data', what.clientCertificate),
          ...base64Field('client-key-data', what.clientKey),
          ...(what.token === undefined ? {} : { token: what.token }),
        },
      },
    ],
    contexts: [
      {
        name,
        context: { cluster: name, user: name, ...(what.namespace === undefined ? {} : { namespace: what.namespace }) },
      },
    ],
  });
}

function base64Field(name: string, pem: string | undefined): Record<string, string> {
  return pem === undefined ? {} : { [name]: Buffer.from(pem, 'utf8').toString('base64') };
}

/** Writes a kubeconfig whole or not at all, readable by its owner only; makes the folder (0700) when it is missing. */
export async function writeKubeconfig(file: string, what: NewKubeconfig): Promise<void> {
  const text = await formatKubeconfig(what);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await writeFile(draft, text, { mode: 0o600, flag: 'wx' });
    await rename(draft, file);
  } catch (cause) {
    await rm(draft, { force: true });
    throw cause;
  }
}
