import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { CertificateAuthority, LEAF_VALID_MS, selfSignedPair } from './authority.ts';

const run = promisify(execFile);
const DAY_MS = 86_400_000;

describe('a certificate authority', () => {
  it('issues certificates with user, groups, hosts, usages and time', async () => {
    const authority = await CertificateAuthority.create('podwire-ca');
    const pair = await authority.issue({
      commonName: 'system:node:n1',
      organizations: ['system:nodes', 'a, b+c="d"', '#41', 'x\\0a, CN=admin', 'größe'],
      hosts: ['n1', '*.example.com', '127.0.0.1', '::1'],
      usages: ['server', 'client'],
    });
    const certificate = new X509Certificate(pair.certificate);
    expect(certificate.toLegacyObject().subject).toEqual({
      O: ['system:nodes', 'a, b+c="d"', '#41', 'x\\0a, CN=admin', 'größe'],
      CN: 'system:node:n1',
    });
    expect(certificate.subjectAltName).toBe(
      'DNS:n1, DNS:*.example.com, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    );
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(certificate.ca).toBe(false);
    expect(Date.parse(certificate.validFrom)).toBeLessThan(Date.now() - 60_000);
    expect(Date.parse(certificate.validTo) - Date.now()).toBeGreaterThan(LEAF_VALID_MS - DAY_MS);
    expect(certificate.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    expect(pair.key).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
  });

  it('makes chains that openssl accepts for their purpose alone, also after the authority was renewed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'podwire-pki-'));
    const [ca, leaf] = [join(folder, 'ca.crt'), join(folder, 'leaf.crt')];
    const verify = (purpose: string) =>
      run('openssl', ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', ca, leaf]);
    try {
      const authority = await CertificateAuthority.create('strict "CA", one');
      const pair = await authority.issue({ commonName: 'server', hosts: ['127.0.0.1'], usages: ['server'] });
      await writeFile(leaf, pair.certificate);
      for (const current of [authority, await authority.renew(20 * 365 * DAY_MS)]) {
        await writeFile(ca, current.certificate);
        expect((await verify('sslserver')).stdout).toContain('OK');
        await expect(verify('sslclient')).rejects.toThrow();
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('never issues beyond its own time, and not at all when that is over', async () => {
    const short = await CertificateAuthority.create('short', DAY_MS);
    const pair = await short.issue({ commonName: 'x', usages: ['client'] });
    expect(new X509Certificate(pair.certificate).validTo).toBe(new X509Certificate(short.certificate).validTo);
    const over = await CertificateAuthority.create('over', -1000);
    await expect(over.issue({ commonName: 'x', usages: ['client'] })).rejects.toThrow(/the authority CN=over expired/);
  });

  it('refuses a key of another certificate, a certificate that is no CA, and text that is no PEM', async () => {
    const [one, two] = [await CertificateAuthority.create('one'), await CertificateAuthority.create('two')];
    const leaf = await one.issue({ commonName: 'x', usages: ['client'] });
    expect(() => new CertificateAuthority({ certificate: one.certificate, key: two.key })).toThrow('does not belong');
    expect(() => new CertificateAuthority(leaf)).toThrow('must be one of a CA');
    expect(() => new CertificateAuthority({ certificate: 'x', key: 'y' })).toThrow('is not PEM');
  });

  it('signs a pair by itself', async () => {
    const pair = await selfSignedPair({ commonName: 'n1@1', hosts: ['n1'], usages: ['server'] });
    const certificate = new X509Certificate(pair.certificate);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.checkHost('n1')).toBe('n1');
  });
});
