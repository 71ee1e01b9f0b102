import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CertificateAuthority, type KeyPair } from './authority.ts';
import { ReloadingTls, type TlsFiles } from './reloading.ts';
import { renewRegularly } from './renewal.ts';

let folder: string;
let authority: CertificateAuthority;
let files: Required<TlsFiles> & Record<'certificateFile' | 'keyFile' | 'caFile', string>;
const cleanups: (() => unknown)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-tls-'));
  authority = await CertificateAuthority.create('ca');
  files = {
    certificateFile: join(folder, 'tls.crt'),
    keyFile: join(folder, 'tls.key'),
    caFile: join(folder, 'ca.crt'),
  };
  await install(await serverPair('first'));
  await replace(files.caFile, authority.certificate);
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  await rm(folder, { recursive: true });
});

const serverPair = (commonName: string): Promise<KeyPair> =>
  authority.issue({ commonName, hosts: ['127.0.0.1'], usages: ['server'] });

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

async function install(pair: KeyPair): Promise<void> {
  await replace(files.keyFile, pair.key);
  await replace(files.certificateFile, pair.certificate);
}

/** Never polls by itself within a test: `check` is called where the test wants it. */
async function load(options: Parameters<typeof ReloadingTls.load>[1] = {}): Promise<ReloadingTls> {
  const tls = await ReloadingTls.load(files, { pollMs: 3_600_000, ...options });
  cleanups.push(() => tls.close());
  return tls;
}

async function serverWith(tls: ReloadingTls): Promise<number> {
  const server = createServer({ requestCert: true, rejectUnauthorized: true });
  tls.serve(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

/** CN of the certificate that the server shows to a client of `trusted`, once it took our certificate. */
async function shown(port: number, client: KeyPair, options: ConnectionOptions = {}): Promise<string | undefined> {
  const socket: TLSSocket = connect({
    port,
    host: '127.0.0.1',
    ca: authority.certificate,
    cert: client.certificate,
    key: client.key,
    // In TLS 1.3 a refused client certificate shows only after the handshake.
    maxVersion: 'TLSv1.2',
    ...options,
  });
  try {
    await once(socket, 'secureConnect');
    return [socket.getPeerCertificate().subject.CN].flat()[0];
  } finally {
    socket.destroy();
  }
}

const clientPair = (of: CertificateAuthority): Promise<KeyPair> => of.issue({ commonName: 'me', usages: ['client'] });

describe('reloading TLS', () => {
  it('lets a running server show a new certificate', async () => {
    let reloads = 0;
    const tls = await load({ onReload: () => (reloads += 1) });
    const [port, me] = [await serverWith(tls), await clientPair(authority)];
    expect(await shown(port, me)).toBe('first');
    expect(await tls.check()).toBe(false);
    await install(await serverPair('second'));
    expect(await tls.check()).toBe(true);
    expect(await shown(port, me)).toBe('second');
    expect(reloads).toBe(1);
  });

  it('lets a running server trust another CA', async () => {
    const tls = await load();
    const other = await CertificateAuthority.create('other');
    const [port, stranger] = [await serverWith(tls), await clientPair(other)];
    await expect(shown(port, stranger)).rejects.toThrow();
    await replace(files.caFile, authority.certificate + other.certificate);
    await tls.check();
    expect(await shown(port, stranger)).toBe('first');
  });

  it.each<[string, () => Promise<void>, RegExp]>([
    [
      'a key of another certificate',
      async () => replace(files.keyFile, (await serverPair('x')).key),
      /does not belong/,
    ],
    ['a broken certificate', () => replace(files.certificateFile, 'nonsense'), /is not PEM/],
    [
      'a broken CA bundle',
      () => replace(files.caFile, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'),
      /ca\.crt cannot be used/,
    ],
    ['an empty CA bundle', () => replace(files.caFile, ''), /ca\.crt cannot be used: it holds no certificate/],
    ['a missing file', () => rm(files.certificateFile), /tls\.crt cannot be read/],
  ])('keeps what is good in the face of %s, and says so once', async (_what, spoil, words) => {
    const errors: string[] = [];
    const tls = await load({ onError: ({ code, message }) => errors.push(`${code} ${message}`) });
    const [port, me] = [await serverWith(tls), await clientPair(authority)];
    await spoil();
    expect([await tls.check(), errors.length]).toEqual([false, 0]);
    expect([await tls.check(), await tls.check()]).toEqual([false, false]);
    expect(errors).toEqual([expect.stringMatching(words)]);
    expect(errors[0]).toMatch(/^ERR_CERTIFICATE /);
    expect(await shown(port, me)).toBe('first');
    await replace(files.caFile, authority.certificate);
    await install(await serverPair('mended'));
    expect(await tls.check()).toBe(true);
    expect(await shown(port, me)).toBe('mended');
  });

  it('says nothing when a look falls between the two files of a rotation', async () => {
    const errors: unknown[] = [];
    const tls = await load({ onError: (error) => errors.push(error) });
    const next = await serverPair('second');
    await replace(files.keyFile, next.key);
    expect(await tls.check()).toBe(false);
    await replace(files.certificateFile, next.certificate);
    expect(await tls.check()).toBe(true);
    expect(errors).toEqual([]);
  });

  it('looks by itself', async () => {
    const reloaded = new Promise<void>((resolve) => {
      void load({ pollMs: 5, onReload: resolve }).then(async () => install(await serverPair('second')));
    });
    await reloaded;
  });

  it('refuses to begin with files that cannot be used', async () => {
    await expect(ReloadingTls.load({ certificateFile: files.certificateFile })).rejects.toThrow(/go together/);
    await expect(ReloadingTls.load({ caFile: '/nowhere/ca.crt' })).rejects.toThrow('/nowhere/ca.crt cannot be read');
  });

  it('gives a client what it needs', async () => {
    const tls = await load();
    expect(Object.keys(tls.material)).toEqual(['cert', 'key', 'ca']);
    const port = await serverWith(tls);
    const me = await clientPair(authority);
    await install(me);
    await tls.check();
    expect(tls.secureContext).toBe(tls.secureContext);
    // The same files serve as a client's: the server's context follows, and is a client certificate now.
    await expect(shown(port, me, tls.material as ConnectionOptions)).rejects.toThrow();
  });
});

describe('regular renewal', () => {
  it('repeats until it is closed, and survives failures', async () => {
    let calls = 0;
    await new Promise<void>((resolve) => {
      const onError = (error: Error): void => {
        expect(error.message).toBe('once');
      };
      const renew = async (): Promise<void> => {
        calls += 1;
        if (calls === 1) throw new Error('once');
        resolve();
      };
      const renewal = renewRegularly(renew, { everyMs: 5, onError });
      cleanups.push(() => renewal[Symbol.dispose]());
    });
    expect(calls).toBe(2);
  });
});
