import type { X509Certificate } from 'node:crypto';

/** What a client certificate says of its holder. */
export interface CertificateHolder {
  /** CN, empty without one. As Go reads it: of several the last one counts. */
  readonly name: string;
  /** Each O. */
  readonly groups: readonly string[];
  /** ms since 1970 */
  readonly validTo: number;
}

/** Holders remembered; beyond that the one that was first seen is forgotten. */
const MAX_HOLDERS = 1_000;

const known = new Map<string, CertificateHolder>();

/** Reads `certificate`. A certificate that was read before, byte for byte the same, is not taken apart again. */
export function holderOf(certificate: X509Certificate): CertificateHolder {
  const der = certificate.raw.toString('latin1');
  const before = known.get(der);
  if (before !== undefined) return before;
  const { subject, valid_to } = certificate.toLegacyObject();
  const holder: CertificateHolder = {
    name: [subject.CN].flat().at(-1) ?? '',
    groups: [subject.O].flat().filter((group: string | undefined) => group !== undefined),
    validTo: Date.parse(valid_to),
  };
  known.set(der, holder);
  const [oldest] = known.keys();
  if (known.size > MAX_HOLDERS && oldest !== undefined) known.delete(oldest);
  return holder;
}
