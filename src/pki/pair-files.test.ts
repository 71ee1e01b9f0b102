import { X509Certificate } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CertificateAuthority, type CertificateRequest } from './authority.ts';
import { loadOrCreateAuthority } from './authority-folder.ts';
import { isDueForRenewal, loadOrIssue, loadOrSelfSign, writePair } from './pair-files.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'podwire-pki-'));
});
afterEach(() => rm(root, { recursive: true }));

const mode = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);
const serial = (pem: string): string => new X509Certificate(pem).serialNumber;
const request: CertificateRequest = {
  commonName: 'server',
  organizations: ['o', 'a, b'],
  hosts: ['127.0.0.1', 'n1'],
  usages: ['server'],
};

describe('the folder of an authority', () => {
  it('is made once, closed to others, and read from then on', async () => {
    const folder = join(root, 'pki', 'ca');
    const first = await loadOrCreateAuthority(folder, 'podwire-ca');
    expect([await mode(join(root, 'pki')), await mode(folder), await mode(first.keyFile)]).toEqual([
      '700',
      '700',
      '600',
    ]);
    const second = await loadOrCreateAuthority(folder, 'podwire-ca');
    expect(second.authority.certificate).toBe(first.authority.certificate);
    expect(await readdir(join(root, 'pki'))).toEqual(['ca']);
  });

  it('holds one authority however many start at once', async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => loadOrCreateAuthority(join(root, 'ca'), 'x')));
    expect(new Set(all.map(({ authority }) => authority.certificate)).size).toBe(1);
    expect(await readdir(root)).toEqual(['ca']);
  });

  it('gets a renewed certificate for the same key when its time runs out', async () => {
    const folder = join(root, 'ca');
    const old = await CertificateAuthority.create('old', 60_000);
    await writePair(folder, 'ca', old);
    const leaf = await old.issue(request);
    const { authority } = await loadOrCreateAuthority(folder, 'ignored');
    expect(serial(authority.certificate)).not.toBe(serial(old.certificate));
    expect(new X509Certificate(authority.certificate).subject).toBe('CN=old');
    expect(new X509Certificate(leaf.certificate).verify(new X509Certificate(authority.certificate).publicKey)).toBe(
      true,
    );
    expect(isDueForRenewal(await readFile(join(folder, 'ca.crt'), 'utf8'))).toBe(false);
  });

  it('is never replaced when it holds something unusable', async () => {
    await mkdir(join(root, 'ca'));
    await writeFile(join(root, 'ca', 'ca.key'), 'precious');
    await expect(loadOrCreateAuthority(join(root, 'ca'), 'x')).rejects.toThrow(/restore them, or remove the folder/);
    expect(await readFile(join(root, 'ca', 'ca.key'), 'utf8')).toBe('precious');
  });
});

describe('a stored pair', () => {
  it('is issued once and closes a key that others could read', async () => {
    const authority = await CertificateAuthority.create('ca');
    const first = await loadOrIssue(root, 'server', { authority, request });
    await chmod(first.keyFile, 0o644);
    const second = await loadOrIssue(root, 'server', { authority, request });
    expect(second.certificate).toBe(first.certificate);
    expect(await mode(first.keyFile)).toBe('600');
  });

  it.each<[string, Partial<CertificateRequest>]>([
    ['another host', { hosts: ['n2'] }],
    ['another address', { hosts: ['127.0.0.2'] }],
    ['another name', { commonName: 'other' }],
    ['other groups', { organizations: ['o', 'p'] }],
    ['another usage', { usages: ['server', 'client'] }],
  ])('is issued anew for %s', async (_what, change) => {
    const authority = await CertificateAuthority.create('ca');
    const first = await loadOrIssue(root, 'server', { authority, request });
    const second = await loadOrIssue(root, 'server', { authority, request: { ...request, ...change } });
    expect(second.certificate).not.toBe(first.certificate);
  });

  it('is issued anew by another authority, when it runs out and when its files do not match', async () => {
    const authority = await CertificateAuthority.create('ca');
    const impostor = await CertificateAuthority.create('ca');
    await loadOrIssue(root, 'server', { authority: impostor, request });
    const first = await loadOrIssue(root, 'server', { authority, request });
    expect(new X509Certificate(first.certificate).verify(new X509Certificate(authority.certificate).publicKey)).toBe(
      true,
    );
    await writePair(root, 'server', await authority.issue({ ...request, validForMs: 60_000 }));
    const second = await loadOrIssue(root, 'server', { authority, request });
    expect(isDueForRenewal(second.certificate)).toBe(false);
    await writeFile(second.keyFile, first.key);
    const third = await loadOrIssue(root, 'server', { authority, request });
    expect(new Set([first, second, third].map(({ certificate }) => serial(certificate))).size).toBe(3);
  });

  it('vouches for itself where there is no authority', async () => {
    const first = await loadOrSelfSign(root, 'kubelet', request);
    expect((await loadOrSelfSign(root, 'kubelet', request)).certificate).toBe(first.certificate);
  });
});
