import { X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { ExecPathError, toError } from '../common/errors.ts';
import { writeAtomically } from './atomic-file.ts';
import {
  assertPair,
  type CertificateAuthority,
  type CertificateRequest,
  type KeyPair,
  selfSignedPair,
} from './authority.ts';

/** A pair and the files it is kept in. */
export interface StoredPair extends KeyPair {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** A certificate is renewed when less than this part of its time is left. */
const RENEW_AT_PART = 1 / 3;

/** The pair in `<folder>/<name>.crt` and `.key`, or undefined when a file is missing, broken or not of the other. */
export async function readPair(folder: string, name: string): Promise<StoredPair | undefined> {
  const files = pairFiles(folder, name);
  try {
    const certificate = await readFile(files.certificateFile, 'utf8');
    const key = await readFile(files.keyFile, 'utf8');
    assertPair({ certificate, key });
    await closeToOthers(files.keyFile);
    return { certificate, key, ...files };
  } catch (thrown) {
    const cause = toError(thrown) as NodeJS.ErrnoException;
    if (cause instanceof ExecPathError || cause.code === 'ENOENT') return undefined;
    // Unreadable is not missing: writing over what another user owns would only hide the mistake.
    throw new ExecPathError('ERR_CERTIFICATE', `${folder}/${name} cannot be read: ${cause.message}`, { cause });
  }
}

function pairFiles(folder: string, name: string): Pick<StoredPair, 'certificateFile' | 'keyFile'> {
  return { certificateFile: join(folder, `${name}.crt`), keyFile: join(folder, `${name}.key`) };
}

async function closeToOthers(keyFile: string): Promise<void> {
  const { mode } = await stat(keyFile);
  if ((mode & 0o077) !== 0) await chmod(keyFile, 0o600);
}

/** Writes a pair, key first, each file whole; the folder is made with 0700, the key has 0600. */
export async function writePair(folder: string, name: string, pair: KeyPair): Promise<StoredPair> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const files = pairFiles(folder, name);
  await writeAtomically(files.keyFile, pair.key, 0o600);
  await writeAtomically(files.certificateFile, pair.certificate, 0o644);
  return { certificate: pair.certificate, key: pair.key, ...files };
}

/**
 * The pair kept under `name`; issued anew when there is none, when it is not what `request` says or not by
 * `authority`, and when two thirds of its time are over.
 *
 * @throws ExecPathError ERR_CERTIFICATE
 */
export async function loadOrIssue(
  folder: string,
  name: string,
  { authority, request }: { readonly authority: CertificateAuthority; readonly request: CertificateRequest },
): Promise<StoredPair> {
  const kept = await readPair(folder, name);
  if (kept !== undefined && isIssuedBy(kept, authority.certificate) && fits(kept, request)) return kept;
  return writePair(folder, name, await authority.issue(request));
}

/** As {@link loadOrIssue} for a certificate that vouches for itself. */
export async function loadOrSelfSign(folder: string, name: string, request: CertificateRequest): Promise<StoredPair> {
  const kept = await readPair(folder, name);
  if (kept !== undefined && isIssuedBy(kept, kept.certificate) && fits(kept, request)) return kept;
  return writePair(folder, name, await selfSignedPair(request));
}

function isIssuedBy(pair: KeyPair, issuer: string): boolean {
  const authority = new X509Certificate(issuer);
  const certificate = new X509Certificate(pair.certificate);
  return certificate.issuer === authority.subject && certificate.verify(authority.publicKey);
}

const usageOids = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const;

function fits(pair: KeyPair, request: CertificateRequest): boolean {
  const certificate = new X509Certificate(pair.certificate);
  // The legacy form alone gives values as they are; `subject` escapes them.
  const { CN, O = [] } = certificate.toLegacyObject().subject as { CN?: string; O?: string | string[] };
  return (
    !isDueForRenewal(pair.certificate) &&
    CN === request.commonName &&
    JSON.stringify([O].flat()) === JSON.stringify(request.organizations ?? []) &&
    request.usages.every((usage) => certificate.keyUsage?.includes(usageOids[usage])) &&
    (request.hosts ?? []).every((host) =>
      isIP(host) > 0 ? certificate.checkIP(host) !== undefined : certificate.checkHost(host) !== undefined,
    )
  );
}

/** Two thirds of its time are over, or it is not valid at all. */
export function isDueForRenewal(certificate: string, now: number = Date.now()): boolean {
  const { validFrom, validTo } = new X509Certificate(certificate);
  const [begin, end] = [Date.parse(validFrom), Date.parse(validTo)];
  return now < begin || end - now < (end - begin) * RENEW_AT_PART;
}
