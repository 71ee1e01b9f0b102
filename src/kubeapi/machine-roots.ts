import { readFile } from 'node:fs/promises';

/** Where systems keep the certificates they trust, in Go's order. */
const bundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/**
 * The roots this machine trusts, as Go programs see them: the file in `SSL_CERT_FILE`, else the system's bundle; with
 * `NODE_EXTRA_CA_CERTS` beside it. Node alone would trust the list it was built with, and no company's own CA.
 *
 * @returns PEM texts, or undefined when there is no such file and Node's own list must do
 */
export async function machineRoots(env: NodeJS.ProcessEnv): Promise<string[] | undefined> {
  const candidates = env['SSL_CERT_FILE'] ? [env['SSL_CERT_FILE']] : bundles;
  for (const file of candidates) {
    const roots = await readPem(file);
    if (roots === undefined) continue;
    const extra = env['NODE_EXTRA_CA_CERTS'] ? await readPem(env['NODE_EXTRA_CA_CERTS']) : undefined;
    return extra === undefined ? [roots] : [roots, extra];
  }
  return undefined;
}

async function readPem(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.includes('-----BEGIN ') ? text : undefined;
}
