import { afterEach, describe, expect, it } from 'vitest';
import {
  type Answer,
  type AnsweringApi,
  answeringApi,
  json,
  somePod as pod,
  watchLines,
} from '../../test/support/answering-api.ts';
import { Loopback } from '../../test/support/loopback.ts';
import type { KubeClient } from './client.ts';
import { type ListWatchEvent, listWatch } from './list-watch.ts';
import type { Pod } from './pod.ts';
import { pods } from './resource-type.ts';

const loopback = new Loopback();
afterEach(() => loopback.close());

const api = (...args: Rest): Promise<AnsweringApi> => answeringApi(loopback, ...args);
type Rest = Parameters<typeof answeringApi> extends [unknown, ...infer Others] ? Others : never;

const expired = {
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  reason: 'Expired',
  message: 'too old resource version: 1 (9)',
  code: 410,
};

const list = (items: readonly Pod[], resourceVersion: string, next?: string): Answer =>
  json({ kind: 'PodList', apiVersion: 'v1', metadata: { resourceVersion, continue: next }, items });

describe('listWatch', () => {
  /** Follows until `count` events were seen. */
  async function follow(client: KubeClient, count: number): Promise<{ seen: string[]; errors: string[] }> {
    const seen: string[] = [];
    const errors: string[] = [];
    const control = new AbortController();
    const onError = (error: Error): void => void errors.push(error.message);
    for await (const event of listWatch(client, pods, { signal: control.signal, minDelayMs: 1, onError })) {
      seen.push(describeEvent(event));
      if (seen.length === count) control.abort();
    }
    return { seen, errors };
  }

  const describeEvent = (event: ListWatchEvent<Pod>): string =>
    event.type === 'SYNC'
      ? `SYNC ${event.items.map(({ metadata }) => metadata.name).join(',')} @${event.resourceVersion}`
      : `${event.type} ${event.object.metadata.name}`;

  const watching =
    (...events: unknown[]): Answer =>
    (_ask, answer) =>
      answer.end(watchLines(...events));
  const silent: Answer = (_ask, answer) => answer.writeHead(200).flushHeaders();

  it('reads all pages, then goes on from their resource version', async () => {
    const { client, asked } = await api([
      list([pod('a')], '7', 'more'),
      list([pod('b')], '7'),
      watching({ type: 'MODIFIED', object: pod('a', '8') }),
      watching({ type: 'DELETED', object: pod('b', '9') }),
      silent,
    ]);
    expect(await follow(client, 3)).toEqual({ seen: ['SYNC a,b @7', 'MODIFIED a', 'DELETED b'], errors: [] });
    expect(
      asked.slice(1, 4).map(({ url }) => url.searchParams.get('continue') ?? url.searchParams.get('resourceVersion')),
    ).toEqual(['more', '7', '8']);
  });

  it('lists anew when the server has forgotten where it was', async () => {
    const { client } = await api([
      list([pod('a')], '1'),
      watching({ type: 'ERROR', object: expired }),
      list([pod('b')], '9'),
      silent,
    ]);
    expect(await follow(client, 2)).toEqual({ seen: ['SYNC a @1', 'SYNC b @9'], errors: [expired.message] });
  });

  it('lists anew when the watch itself is answered 410', async () => {
    const { client } = await api([list([], '1'), json(expired, 410), list([pod('b')], '9'), silent]);
    expect((await follow(client, 2)).seen).toEqual(['SYNC  @1', 'SYNC b @9']);
  });

  it('goes on from the last bookmark, without a list, when the connection breaks', async () => {
    const bookmark = { type: 'BOOKMARK', object: { metadata: { name: '', resourceVersion: '40' } } };
    const { client, asked } = await api([
      list([pod('a')], '1'),
      (ask, answer) => void answer.write(watchLines(bookmark), () => ask.socket.destroy()),
      watching({ type: 'ADDED', object: pod('b', '41') }),
      silent,
    ]);
    const { seen, errors } = await follow(client, 2);
    expect(seen).toEqual(['SYNC a @1', 'ADDED b']);
    expect(errors).toHaveLength(1);
    expect(asked[2]!.url.searchParams.get('resourceVersion')).toBe('40');
  });

  it('survives a server that refuses, and does not spin on watches that end at once', async () => {
    const forbidden = json({ kind: 'Status', status: 'Failure', message: 'no', code: 403 }, 403);
    const { client } = await api([forbidden, list([], '1'), watching(), list([pod('b')], '2'), silent]);
    const { seen, errors } = await follow(client, 2);
    expect(seen).toEqual(['SYNC  @1', 'SYNC b @2']);
    expect(errors).toEqual(['no', 'the watch ended at once without an event']);
  });
});
