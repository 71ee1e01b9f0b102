import { expect, it } from 'vitest';
import { Etcd } from '../../test/support/etcd.ts';
import { describeWithPeer } from '../../test/support/peer.ts';
import { EtcdStore } from './etcd-store.ts';

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
      message: 'no etcd server answered within 10 s: http://127.0.0.1:9',
    });
    await expect(EtcdStore.open({ servers: ['localhost:2379'] })).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST' });
  });
});
