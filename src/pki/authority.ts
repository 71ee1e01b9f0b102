import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type * as x509 from '@peculiar/x509';
import { ExecPathError, toError } from '../common/errors.ts';

/** A certificate and its private key, both PEM (X.509 and PKCS #8). */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** What a certificate says. The user is CN, the groups are O, as Kubernetes reads them. */
export interface CertificateRequest {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  /** What a peer may call the holder: host names and IP addresses. */
  readonly hosts?: readonly string[];
  /** `server`, `client` or both. */
  readonly usages: readonly ('server' | 'client')[];
  /** Default {@link LEAF_VALID_MS}. Cut to what is left of the authority's own time. */
  readonly validForMs?: number;
}

/** One year. */
export const LEAF_VALID_MS = 365 * 86_400_000;
/** Ten years. */
export const AUTHORITY_VALID_MS = 10 * LEAF_VALID_MS;
/** Certificates begin this much in the past: clocks differ. */
const BACKDATE_MS = 5 * 60_000;

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** An X.509 certificate authority with an EC P-256 key. */
export class CertificateAuthority {
  /** PEM; public: peers put it into their CA bundle. */
  readonly certificate: string;
  /** PEM; the secret on which all trust rests. */
  readonly key: string;

  constructor(pair: KeyPair) {
    this.certificate = pair.certificate;
    this.key = pair.key;
    assertPair(pair);
    if (!new X509Certificate(pair.certificate).ca) {
      throw new ExecPathError('ERR_CERTIFICATE', 'the certificate of an authority must be one of a CA');
    }
  }

  /** @param validForMs default {@link AUTHORITY_VALID_MS} */
  static async create(commonName: string, validForMs: number = AUTHORITY_VALID_MS): Promise<CertificateAuthority> {
    const keys = await generateKeys();
    return new CertificateAuthority({
      certificate: await signAuthority(nameOf(await library(), { commonName }), keys, validForMs),
      key: await exportKey(keys.privateKey),
    });
  }

  /** The same authority, same name and key, with its time counted from now: what it issued stays valid. */
  async renew(validForMs: number = AUTHORITY_VALID_MS): Promise<CertificateAuthority> {
    const { X509Certificate: Certificate } = await library();
    const { subjectName } = new Certificate(this.certificate);
    const certificate = await signAuthority(subjectName, await importKeys(this.key, this.certificate), validForMs);
    return new CertificateAuthority({ certificate, key: this.key });
  }

  /** @throws ExecPathError ERR_CERTIFICATE when the authority itself has expired */
  async issue(request: CertificateRequest): Promise<KeyPair> {
    const { X509Certificate: Certificate } = await library();
    const issuer = new Certificate(this.certificate);
    if (issuer.notAfter.getTime() <= Date.now()) {
      throw new ExecPathError(
        'ERR_CERTIFICATE',
        `the authority ${issuer.subject} expired ${issuer.notAfter.toISOString()}`,
      );
    }
    const { privateKey: signingKey } = await importKeys(this.key, this.certificate);
    return issueLeaf(request, { signingKey, authority: issuer });
  }
}

/** A certificate that vouches for itself: for a server that nobody gave one, as a kubelet makes it. */
export async function selfSignedPair(request: CertificateRequest): Promise<KeyPair> {
  return issueLeaf(request, undefined);
}

interface Issuer {
  readonly signingKey: CryptoKey;
  readonly authority: x509.X509Certificate;
}

type CryptoKey = webcrypto.CryptoKey;
type CryptoKeyPair = webcrypto.CryptoKeyPair;

async function issueLeaf(request: CertificateRequest, issuer: Issuer | undefined): Promise<KeyPair> {
  const lib = await library();
  const keys = await generateKeys();
  const subject = nameOf(lib, request);
  const end = Date.now() + (request.validForMs ?? LEAF_VALID_MS);
  const oids = { server: lib.ExtendedKeyUsage.serverAuth, client: lib.ExtendedKeyUsage.clientAuth };
  const hosts = (request.hosts ?? []).map((value) => ({
    type: isIP(value) > 0 ? ('ip' as const) : ('dns' as const),
    value,
  }));
  const certificate = await lib.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject,
    issuer: issuer?.authority.subjectName ?? subject,
    notBefore: new Date(Date.now() - BACKDATE_MS),
    notAfter: new Date(Math.min(end, issuer?.authority.notAfter.getTime() ?? end)),
    publicKey: keys.publicKey,
    signingKey: issuer?.signingKey ?? keys.privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      new lib.BasicConstraintsExtension(false, undefined, true),
      new lib.KeyUsagesExtension(lib.KeyUsageFlags.digitalSignature, true),
      new lib.ExtendedKeyUsageExtension(request.usages.map((usage) => oids[usage])),
      await lib.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await lib.AuthorityKeyIdentifierExtension.create(issuer?.authority.publicKey ?? keys.publicKey),
      ...(hosts.length === 0 ? [] : [new lib.SubjectAlternativeNameExtension(hosts)]),
    ],
  });
  return { certificate: `${certificate.toString('pem')}\n`, key: await exportKey(keys.privateKey) };
}

async function signAuthority(name: x509.Name, keys: CryptoKeyPair, validForMs: number): Promise<string> {
  const lib = await library();
  const certificate = await lib.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name,
    notBefore: new Date(Date.now() - BACKDATE_MS),
    notAfter: new Date(Date.now() + validForMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new lib.BasicConstraintsExtension(true, undefined, true),
      new lib.KeyUsagesExtension(lib.KeyUsageFlags.keyCertSign | lib.KeyUsageFlags.digitalSignature, true),
      await lib.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

/** Values are given typed: as text the library would look for quotes, backslashes and `#` in them. */
function nameOf(
  lib: typeof x509,
  { commonName, organizations = [] }: Pick<CertificateRequest, 'commonName' | 'organizations'>,
): x509.Name {
  const text = (utf8String: string): { utf8String: string }[] => [{ utf8String }];
  return new lib.Name([...organizations.map((name) => ({ O: text(name) })), { CN: text(commonName) }]);
}

/** 127 random bits, as a positive number without leading zeros. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

async function generateKeys(): Promise<CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function exportKey(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
}

/** @throws ExecPathError ERR_CERTIFICATE for a CA that was made elsewhere with another kind of key */
async function importKeys(key: string, certificate: string): Promise<CryptoKeyPair> {
  const { asymmetricKeyType, asymmetricKeyDetails } = createPrivateKey(key);
  if (asymmetricKeyType !== 'ec' || asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new ExecPathError('ERR_CERTIFICATE', `the key of the authority is ${asymmetricKeyType}, not EC P-256`);
  }
  const pkcs8 = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' });
  const spki = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
  return {
    privateKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('spki', spki, algorithm, true, ['verify']),
  };
}

/** @throws ExecPathError ERR_CERTIFICATE when the key is not the certificate's */
export function assertPair({ certificate, key }: KeyPair): void {
  let matches: boolean;
  try {
    matches = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw new ExecPathError('ERR_CERTIFICATE', `a certificate or key is not PEM: ${toError(cause).message}`, { cause });
  }
  if (!matches) throw new ExecPathError('ERR_CERTIFICATE', 'the key does not belong to the certificate');
}

let loaded: Promise<typeof x509> | undefined;

/** Loaded only when something is issued: it costs a tenth of a second, and it needs reflect-metadata before itself. */
function library(): Promise<typeof x509> {
  loaded ??= (async () => {
    await import('reflect-metadata');
    const lib = await import('@peculiar/x509');
    lib.cryptoProvider.set(webcrypto);
    return lib;
  })();
  return loaded;
}
