import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { PemSource } from './pem-source.ts';
import { formatYaml } from './yaml-text.ts';

/** One cluster, one user and one context that joins them. */
export interface NewKubeconfig {
  /** Name of the context, the cluster and the user. */
  readonly name: string;
  /** `https://127.0.0.1:6443` */
  readonly server: string;
  readonly namespace?: string;
  /** PEM, embedded; or a file that is followed when it changes, its path relative to the kubeconfig's folder. */
  readonly certificateAuthority?: string | PemSource;
  readonly tlsServerName?: string;
  /** As the authority. */
  readonly clientCertificate?: string | PemSource;
  readonly clientKey?: string | PemSource;
  readonly token?: string;
}

/** The text of a kubeconfig whose one context is the current one; it stands alone unless it names files. */
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
          ...pemField('certificate-authority', what.certificateAuthority),
          ...(what.tlsServerName === undefined ? {} : { 'tls-server-name': what.tlsServerName }),
        },
      },
    ],
    users: [
      {
        name,
        user: {
          ...pemField('client-certificate', what.clientCertificate),
          ...pemField('client-key', what.clientKey),
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

function pemField(name: string, pem: string | PemSource | undefined): Record<string, string> {
  if (pem === undefined) return {};
  if (typeof pem !== 'string' && 'file' in pem) return { [name]: pem.file };
  const text = typeof pem === 'string' ? pem : pem.pem;
  return { [`${name}-data`]: Buffer.from(text, 'utf8').toString('base64') };
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
