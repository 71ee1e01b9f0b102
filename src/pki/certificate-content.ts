import { X509Certificate } from 'node:crypto';
import type { CertificateRequest } from './authority.ts';

/** What a certificate says, so that another one can be issued that says the same. */
export interface CertificateContent extends CertificateRequest {
  readonly organizations: readonly string[];
  /** In the order of the certificate; IPv6 addresses as `::1` or in full. */
  readonly hosts: readonly string[];
  readonly validFrom: Date;
  readonly validTo: Date;
}

const usagesByOid = new Map([
  ['1.3.6.1.5.5.7.3.1', 'server'],
  ['1.3.6.1.5.5.7.3.2', 'client'],
] as const);

/** @param pem a certificate whose names need no quotes: host names and addresses never do */
export function certificateContent(pem: string): CertificateContent {
  const certificate = new X509Certificate(pem);
  // The legacy form alone gives values as they are; `subject` escapes them.
  const { CN = '', O = [] } = certificate.toLegacyObject().subject as { CN?: string; O?: string | string[] };
  return {
    commonName: CN,
    organizations: [O].flat(),
    hosts: (certificate.subjectAltName ?? '').split(', ').flatMap(hostOf),
    usages: (certificate.keyUsage ?? []).flatMap((oid) => usagesByOid.get(oid as never) ?? []),
    validFrom: new Date(certificate.validFrom),
    validTo: new Date(certificate.validTo),
  };
}

/** @param name `DNS:n1` or `IP Address:10.0.0.1`; of other kinds podwire issues none */
function hostOf(name: string): string[] {
  const [, kind, value = ''] = /^([^:]+):(.*)$/.exec(name) ?? [];
  return kind === 'DNS' || kind === 'IP Address' ? [value] : [];
}
