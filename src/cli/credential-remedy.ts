import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ServerOptions } from '../client/index.ts';
import { ExecPathError } from '../common/errors.ts';

/**
 * A server says `Unauthorized` and no more: what is wrong with our own credentials as far as we can see it here.
 *
 * @returns undefined for other failures, and when nothing is to be seen
 */
export async function credentialRemedy(thrown: unknown, options: ServerOptions): Promise<string | undefined> {
  if (!(thrown instanceof ExecPathError) || thrown.code !== 'ERR_UNAUTHORIZED') return undefined;
  const { loadClientConfig } = await import('../kubeapi/index.ts');
  const { kubeconfig, overrides = {}, kubelet } = options;
  const search = kubeconfig === undefined ? {} : { kubeconfig };
  const server = kubelet === undefined ? {} : { server: 'https://localhost' };
  const config = await loadClientConfig({ ...search, overrides: { ...overrides, ...server } });
  const { clientCertificate: certificate, token, tokenFile, basic, exec } = config;
  if (certificate !== undefined) {
    const pem = 'pem' in certificate ? certificate.pem : await readFile(certificate.file, 'utf8');
    return remedyOfCertificate(pem, 'pem' in certificate ? 'of the kubeconfig' : certificate.file);
  }
  if ((token ?? tokenFile ?? basic ?? exec) !== undefined) return undefined;
  return 'we have no credentials at all: put a client certificate or a token into the kubeconfig, or pass --token';
}

/** @param where the file, or where else it is from */
function remedyOfCertificate(pem: string, where: string): string | undefined {
  const { validFrom, validTo, issuer } = new X509Certificate(pem);
  const now = Date.now();
  const end = Date.parse(validTo);
  if (end < now) return `renew the client certificate ${where}: it expired ${new Date(end).toISOString()}`;
  if (Date.parse(validFrom) > now) {
    return `the client certificate ${where} is not valid before ${new Date(validFrom).toISOString()}: set this clock right`;
  }
  const by = issuer.replaceAll('\n', ', ');
  return `ask for a client certificate by the server's client CA: the one ${where} is by ${by}`;
}
