import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { type AnsweringApi, answeringApi, somePod as pod, watchLines } from '../../test/support/answering-api.ts';
import { failureOf } from '../../test/support/failure.ts';
import { Loopback } from '../../test/support/loopback.ts';
import { pods } from './resource-type.ts';
import { MAX_EVENT_BYTES, readWatch } from './watch-stream.ts';

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

describe('a watch', () => {
  it('gives every event, however its bytes are cut, and ends with the server', async () => {
    const text = Buffer.from(
      watchLines(
        { type: 'ADDED', object: pod('größe') },
        { type: 'BOOKMARK', object: { metadata: { name: '', resourceVersion: '9' } } },
      ),
    );
    const { client, asked } = await api([
      async (_ask, answer) => {
        for (const byte of text) await new Promise((resolve) => answer.write(Buffer.from([byte]), resolve));
        answer.end();
      },
    ]);
    const seen: string[] = [];
    for await (const event of client.watch(pods, { resourceVersion: '5', fieldSelector: 'spec.nodeName=n' })) {
      seen.push(`${event.type} ${event.object.metadata.name} ${event.object.metadata.resourceVersion}`);
    }
    expect(seen).toEqual(['ADDED größe 1', 'BOOKMARK  9']);
    expect(asked[0]!.url.search).toBe(
      '?allowWatchBookmarks=true&fieldSelector=spec.nodeName%3Dn&resourceVersion=5&timeoutSeconds=300&watch=true',
    );
  });

  it('throws an ERROR event as the Status it carries', async () => {
    const { client } = await api([(_ask, answer) => answer.end(watchLines({ type: 'ERROR', object: expired }))]);
    const error = await failureOf(client.watch(pods).next());
    expect(error).toMatchObject({ httpStatus: 410, message: expired.message });
  });

  it('throws when the connection breaks between events', async () => {
    const { client } = await api([
      (ask, answer) => void answer.write(watchLines({ type: 'ADDED', object: pod('a') }), () => ask.socket.destroy()),
    ]);
    const watch = client.watch(pods);
    expect((await watch.next()).value).toMatchObject({ type: 'ADDED' });
    expect(await failureOf(watch.next())).toMatchObject({ code: 'ERR_CONNECTION_LOST' });
  });

  it('closes its connection when the loop is left, and when its signal fires', async () => {
    const { client, asked } = await api([
      (_ask, answer) => void answer.write(watchLines({ type: 'ADDED', object: pod('a') })),
    ]);
    for await (const event of client.watch(pods)) {
      expect(event.type).toBe('ADDED');
      break;
    }
    if (!asked[0]!.socket.closed) await once(asked[0]!.socket, 'close');
    const control = new AbortController();
    const watch = client.watch(pods, { signal: control.signal });
    await watch.next();
    control.abort();
    expect(await failureOf(watch.next())).toMatchObject({ code: 'ERR_ABORTED' });
  });

  it('ends when nothing comes for too long, and when a line has no end', async () => {
    const { client } = await api([
      (_ask, answer) => answer.writeHead(200).flushHeaders(),
      (_ask, answer) => void answer.write(Buffer.alloc(MAX_EVENT_BYTES + 1, 'x')),
    ]);
    const options = { path: '/pods', hop: 'apiserver', silenceMs: 20 } as const;
    const silent = await client.stream('GET', '/pods');
    expect(await failureOf(readWatch(silent, options).next())).toMatchObject({
      code: 'ERR_API_TIMEOUT',
      message: 'the watch of /pods was silent for 20 ms',
    });
    const endless = readWatch(await client.stream('GET', '/pods'), { ...options, silenceMs: 10_000 });
    const error = await failureOf(endless.next());
    expect(error.message).toBe(`the watch of /pods sent a line longer than ${MAX_EVENT_BYTES} bytes`);
  });
});
