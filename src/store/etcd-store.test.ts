import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Etcd } from '../../test/support/etcd.ts';
import { describeWithPeer } from '../../test/support/peer.ts';
import { CertificateAuthority, writePair } from '../pki/index.ts';
import { EtcdStore, type EtcdStoreOptions } from './etcd-store.ts';

describeWithPeer('etcd', 'the etcd store', () => {
  it('shares its keys with the stores of other processes', async () => {
    await using etcd = await Etcd.start();
    await using one = await EtcdStore.open({ servers: etcd.servers });
    await using other = await EtcdStore.open({ servers: etcd.servers });
    const results = await Promise.all(
      [one, other].map((store) => store.put('/registry/pods/default/web', '{}', { expectedRevision: 0 })),
    );
    expect(results.filter(({ written }) => written)).toHaveLength(1);
    const { entry } = await other.get('/registry/pods/default/web');
    expect(await one.get('/registry/pods/default/web')).toMatchObject({ entry });
    const before = (entry?.modRevision ?? 0) - 1;
    for await (const change of other.watch('/registry/', before)) {
      expect(change).toMatchObject({ type: 'put', entry });
      break;
    }
  });

  it('goes on with another member when one is killed, and its watches miss and repeat nothing', async () => {
    await using etcd = await Etcd.start({ members: 3 });
    await using store = await EtcdStore.open({ servers: etcd.servers });
    const written: number[] = [];
    const seen: number[] = [];
    const watch = store.watch('/registry/', await store.revision());
    const reading = (async (): Promise<void> => {
      for await (const change of watch) {
        if (change.type === 'progress') continue;
        seen.push(change.revision);
        if (change.type === 'put' && change.entry.value === 'last') return;
      }
    })();
    for (let n = 0; n < 40; n += 1) {
      if (n === 20) await etcd.killMember(0);
      // One that was on its way is reported, not repeated: whoever asked decides.
      const result = await store.put(`/registry/tests/${n}`, String(n)).catch(() => undefined);
      if (result?.written === true) written.push(result.revision);
    }
    const writeLast = async (): Promise<void> => {
      const result = await store.put('/registry/tests/last', 'last').catch(() => undefined);
      if (result?.written !== true) await writeLast();
    };
    await writeLast();
    await reading;
    expect(written.length).toBeGreaterThan(35);
    expect(seen).toEqual([...new Set(seen)].toSorted((a, b) => a - b));
    expect(seen).toEqual(expect.arrayContaining(written));
  });

  it('says where no etcd answers', async () => {
    await expect(EtcdStore.open({ servers: ['http://127.0.0.1:9'] })).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      message: expect.stringMatching(
        /^no etcd server answered within 10 s: http:\/\/127\.0\.0\.1:9 \(etcd at .*ECONNREFUSED.*\)$/,
      ) as unknown,
    });
    await expect(EtcdStore.open({ servers: ['localhost:2379'] })).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST' });
  });

  it('puts its keys below a prefix, and sees nobody else’s', async () => {
    await using etcd = await Etcd.start();
    const open = (prefix?: string): Promise<EtcdStore> =>
      EtcdStore.open({ servers: etcd.servers, ...(prefix === undefined ? {} : { prefix }) });
    await using usual = await open();
    await using own = await open('/podwire/one');
    await using longer = await open('/podwire/one-more');
    const before = await own.revision();
    for (const store of [longer, usual, own])
      await store.put('/registry/pods/default/web', store === own ? 'mine' : 'no');
    expect(await etcd.keys()).toEqual([
      '/podwire/one-more/pods/default/web',
      '/podwire/one/pods/default/web',
      '/registry/pods/default/web',
    ]);
    expect((await own.range('/registry/')).entries).toMatchObject([
      { key: '/registry/pods/default/web', value: 'mine' },
    ]);
    for await (const change of own.watch('/registry/', before)) {
      if (change.type === 'progress') continue;
      expect(change).toMatchObject({ type: 'put', entry: { key: '/registry/pods/default/web', value: 'mine' } });
      break;
    }
  });

  it('lets one of several forget what was before the last interval, so that older watches begin anew', async () => {
    await using etcd = await Etcd.start();
    const options = { servers: etcd.servers, compactionIntervalMs: 100, historyEvents: 1 };
    await using one = await EtcdStore.open(options);
    await using other = await EtcdStore.open(options);
    const old = await one.put('/registry/tests/a', '1');
    if (!old.written) throw new Error('not written');
    for (const value of ['2', '3', '4']) await one.put('/registry/tests/a', value);
    for (const store of [one, other]) {
      const readOld = async (): Promise<string> => {
        try {
          return String((await store.range('/registry/', { revision: old.revision })).revision);
        } catch (thrown) {
          return String(Reflect.get(thrown as object, 'code'));
        }
      };
      await expect.poll(readOld, { timeout: 20_000 }).toBe('ERR_REVISION_COMPACTED');
      const watching = (async (): Promise<void> => {
        for await (const change of store.watch('/registry/', old.revision)) expect(change).toBeUndefined();
      })();
      await expect(watching).rejects.toMatchObject({ code: 'ERR_REVISION_COMPACTED' });
      // What stands there stays.
      expect((await store.get('/registry/tests/a')).entry?.value).toBe('4');
    }
  });

  describe('over TLS', () => {
    let folder: string;
    let authority: CertificateAuthority;
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'podwire-etcd-tls-'));
      authority = await CertificateAuthority.create('etcd-ca');
      writeFileSync(join(folder, 'ca.crt'), authority.certificate);
    });
    afterEach(() => rmSync(folder, { recursive: true }));

    /** An etcd that wants to know who calls. Its gateway calls itself, so its certificate is a client's too. */
    async function startEtcd(): Promise<Etcd> {
      const request = { commonName: 'etcd', hosts: ['127.0.0.1'], usages: ['server', 'client'] as const };
      const { certificateFile: certFile, keyFile } = await writePair(folder, 'etcd', await authority.issue(request));
      return await Etcd.start({ tls: { certFile, keyFile, caFile: join(folder, 'ca.crt') } });
    }

    async function clientFiles(by = authority): Promise<Pick<EtcdStoreOptions, 'certFile' | 'keyFile'>> {
      const pair = await by.issue({ commonName: 'podwire-apiserver', usages: ['client'] });
      const { certificateFile: certFile, keyFile } = await writePair(folder, 'client', pair);
      return { certFile, keyFile };
    }

    it('is let in by its certificate, also when that was renewed after etcd had gone away', async () => {
      await using etcd = await startEtcd();
      const options = { servers: etcd.servers, caFile: join(folder, 'ca.crt'), ...(await clientFiles()) };
      await using store = await EtcdStore.open(options);
      const before = await store.revision();
      await store.put('/registry/tests/a', '1');
      const changes = store.watch('/registry/', before)[Symbol.asyncIterator]();
      expect((await changes.next()).value).toMatchObject({ type: 'put', entry: { value: '1' } });
      await etcd.killMember(0);
      await clientFiles();
      await etcd.startMember(0);
      await store.put('/registry/tests/a', '2');
      for (;;) {
        const { value } = await changes.next();
        if (value?.type !== 'put') continue;
        expect(value.entry.value).toBe('2');
        break;
      }
    });

    it('says which server refuses it, and why', async () => {
      await using etcd = await startEtcd();
      const stranger = await clientFiles(await CertificateAuthority.create('another-ca'));
      const caFile = join(folder, 'ca.crt');
      const messageOf = async (options: Partial<EtcdStoreOptions>): Promise<unknown> => {
        const opening = EtcdStore.open({ servers: etcd.servers, ...options });
        return await opening.then(
          () => undefined,
          ({ message }: Error) => message,
        );
      };
      const [unknown, strange, distrustful] = await Promise.all(
        [{ caFile }, { caFile, ...stranger }, {}].map(messageOf),
      );
      const where = `no etcd server answered within 10 s: ${etcd.servers[0]}`;
      for (const message of [unknown, strange, distrustful]) expect(message).toContain(where);
      for (const message of [unknown, strange])
        expect(message).toMatch(/alert (?:bad certificate|certificate required)/);
      expect(distrustful).toContain('unable to verify the first certificate');
    });
  });
});
