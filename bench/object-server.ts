import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertificateAuthority, type CertificateRequest, type StoredPair, writePair } from '../src/pki/index.ts';
import { Etcd } from '../test/support/etcd.ts';
import { findPeer } from '../test/support/find-peer.ts';
import { KubeApiserver } from '../test/support/kube-apiserver.ts';
import { processesWith } from '../test/support/process-table.ts';
import type { ObjectApiserverConfig } from './processes/object-apiserver.ts';
import { Worker } from './worker.ts';

/** Of a user of system:masters. */
export const TOKEN = 'bench';

/** An apiserver that is filled with objects and asked for them: over TLS, by a bearer token. */
export interface ObjectServer extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  /** PEM of its authority. */
  readonly ca: string;
  readonly caFile: string;
  readonly pid: number;
  /** A pair that its authority signs. */
  readonly issue: (name: string, wanted: CertificateRequest) => Promise<StoredPair>;
}

/** Ours. Owns: the process, etcd, a folder. */
export async function startOwnServer(backend: 'embedded' | 'etcd'): Promise<ObjectServer> {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-bench-'));
  const etcd = backend === 'etcd' ? await Etcd.start() : undefined;
  let worker: Worker | undefined;
  const dispose = async (): Promise<void> => {
    await worker?.[Symbol.asyncDispose]();
    await etcd?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const authority = await CertificateAuthority.create('bench-ca');
    const ca = authority.certificate;
    const caFile = join(folder, 'ca.crt');
    writeFileSync(caFile, ca);
    const issue = async (name: string, wanted: CertificateRequest): Promise<StoredPair> =>
      await writePair(folder, name, await authority.issue(wanted));
    const serving = await issue('apiserver', { commonName: 'apiserver', hosts: ['127.0.0.1'], usages: ['server'] });
    const masters = { organizations: ['system:masters'], usages: ['client'] } as const;
    const kubeletClient = await issue('kubelet-client', { commonName: 'apiserver-kubelet-client', ...masters });
    const tokenAuthFile = join(folder, 'tokens.csv');
    writeFileSync(tokenAuthFile, `${TOKEN},bench,1,system:masters\n`);
    worker = await Worker.start('object-apiserver', {
      store:
        etcd === undefined
          ? { storageBackend: 'embedded', dataDir: join(folder, 'data') }
          : { storageBackend: 'etcd', servers: etcd.servers },
      serving,
      caFile,
      kubeletClient,
      tokenAuthFile,
    } satisfies ObjectApiserverConfig);
    const url = await worker.ask<string>('url');
    const { pid } = worker;
    return { name: `podwire, ${backend}`, url, ca, caFile, pid, issue, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** The real one, or undefined where it has not been built: `.ci/build-cluster-peers.sh`. */
export async function startKubeApiserver(): Promise<ObjectServer | undefined> {
  if (findPeer('kube-apiserver') === undefined) return undefined;
  const apiserver = await KubeApiserver.start({
    tokens: [{ token: TOKEN, name: 'bench', groups: ['system:masters'] }],
    // No controller makes accounts for pods here.
    flags: ['--disable-admission-plugins=ServiceAccount'],
  });
  const pid = processesWith(apiserver.folder)[0]?.pid ?? -1;
  const dispose = (): Promise<void> => apiserver[Symbol.asyncDispose]();
  const { server: url, authority, caFile } = apiserver;
  const issue = (name: string, wanted: CertificateRequest): Promise<StoredPair> => apiserver.issue(name, wanted);
  const ca = authority.certificate;
  return { name: 'kube-apiserver, etcd', url, ca, caFile, pid, issue, [Symbol.asyncDispose]: dispose };
}
