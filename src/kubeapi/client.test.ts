import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ExecPathError } from '../common/errors.ts';
import { ApiStatusError } from './api-error.ts';
import type { KubeClientOptions } from './call-options.ts';
import { KubeClient } from './client.ts';
import type { ClientConfig } from './client-config.ts';
import { type ListWatchEvent, listWatch } from './list-watch.ts';
import type { Pod } from './pod.ts';
import { leases, nodes, pods } from './resource-type.ts';
import { createTransport } from './transport.ts';

interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly socket: Socket;
}

type Answer = (ask: Asked, answer: ServerResponse) => unknown;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** An API that answers the n-th request with the n-th answer, the last one from then on; and a client of it. */
async function api(
  answers: readonly Answer[],
  config: Partial<ClientConfig> = {},
  options: KubeClientOptions = {},
): Promise<{ client: KubeClient; asked: Asked[]; server: Server; port: number }> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const ask: Asked = {
        method: request.method ?? '',
        url: new URL(request.url ?? '', 'http://x'),
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
        socket: request.socket,
      };
      asked.push(ask);
      answers[Math.min(asked.length, answers.length) - 1]?.(ask, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const transport = createTransport({ server: new URL(`http://127.0.0.1:${port}`), ...config }, { env: {} });
  const client = new KubeClient(transport, options);
  cleanups.push(async () => {
    client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { client, asked, server, port };
}

const json =
  (value: unknown, code = 200, headers: Record<string, string> = {}): Answer =>
  (_ask, answer) => {
    answer.writeHead(code, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(value));
  };

const pod = (name: string, resourceVersion = '1'): Pod => ({
  metadata: { name, namespace: 'default', resourceVersion },
  spec: { containers: [{ name: 'main' }] },
});

const list = (items: readonly Pod[], resourceVersion: string, next?: string): Answer =>
  json({ kind: 'PodList', apiVersion: 'v1', metadata: { resourceVersion, continue: next }, items });

const expired = {
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  reason: 'Expired',
  message: 'too old resource version: 1 (9)',
  code: 410,
};

async function failure(work: Promise<unknown>): Promise<ExecPathError> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(ExecPathError);
  return error as ExecPathError;
}

describe('a KubeClient', () => {
  it('reads, writes and deletes objects at their paths', async () => {
    const { client, asked } = await api([json(pod('web'))]);
    expect((await client.get(pods, 'web', { namespace: 'default' })).metadata.name).toBe('web');
    await client.create(pods, pod('web'));
    await client.update(pods, pod('web'), { subresource: 'status' });
    await client.patch(nodes, 'n1', { status: {} }, { subresource: 'status' });
    await client.delete(pods, 'web', { gracePeriodSeconds: 0, preconditions: { uid: 'u' } });
    await client.list(pods, { labelSelector: 'a=b', fieldSelector: 'spec.nodeName=n', limit: 5 });
    await client.get(leases, 'n1', { namespace: 'kube-node-lease' });
    expect(asked.map(({ method, url }) => `${method} ${url.pathname}${url.search}`)).toEqual([
      'GET /api/v1/namespaces/default/pods/web',
      'POST /api/v1/namespaces/default/pods',
      'PUT /api/v1/namespaces/default/pods/web/status',
      'PATCH /api/v1/nodes/n1/status',
      'DELETE /api/v1/namespaces/default/pods/web',
      'GET /api/v1/pods?fieldSelector=spec.nodeName%3Dn&labelSelector=a%3Db&limit=5',
      'GET /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1',
    ]);
    expect(JSON.parse(asked[1]!.body)).toMatchObject({ apiVersion: 'v1', kind: 'Pod' });
    expect(asked[3]!.headers['content-type']).toBe('application/strategic-merge-patch+json');
    expect(JSON.parse(asked[4]!.body)).toEqual({
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      gracePeriodSeconds: 0,
      preconditions: { uid: 'u' },
    });
  });

  it('takes the namespace of its config where none is given, and keeps names inside their segment', async () => {
    const { client, asked } = await api([json(pod('web'))], { namespace: 'mine' });
    await client.get(pods, 'web');
    expect(asked[0]!.url.pathname).toBe('/api/v1/namespaces/mine/pods/web');
    expect(() => client.get(pods, '../nodes')).toThrow('"../nodes" cannot be a segment of an API path');
  });

  it('uses one connection for calls that follow each other', async () => {
    const { client, asked } = await api([json(pod('web'))]);
    await client.get(pods, 'a');
    await client.get(pods, 'b');
    expect(asked[0]!.socket).toBe(asked[1]!.socket);
  });

  it('asks again over a new connection when the server closed the idle one', async () => {
    const cut: Answer = ({ socket }) => socket.resetAndDestroy();
    const { client } = await api([json(pod('a')), cut, json(pod('b'))]);
    await client.get(pods, 'a');
    expect((await client.get(pods, 'b')).metadata.name).toBe('b');
  });

  it('never says twice what changes something', async () => {
    const cut: Answer = ({ socket }) => socket.resetAndDestroy();
    const { client, asked } = await api([json(pod('a')), cut, json(pod('b'))]);
    await client.get(pods, 'a');
    expect((await failure(client.create(pods, pod('b')))).code).toBe('ERR_CONNECTION_LOST');
    expect(asked).toHaveLength(2);
  });

  it('throws the Status that the API answered', async () => {
    const status = { kind: 'Status', status: 'Failure', reason: 'NotFound', message: 'pods "x" not found', code: 404 };
    const { client } = await api([json(status, 404)]);
    const error = await failure(client.get(pods, 'x'));
    expect(error).toBeInstanceOf(ApiStatusError);
    expect(error).toMatchObject({
      code: 'ERR_NOT_FOUND',
      hop: 'apiserver',
      message: 'pods "x" not found',
      httpStatus: 404,
    });
    expect((error as ApiStatusError).reason).toBe('NotFound');
  });

  it('quotes an answer that is no Status, and follows no redirect', async () => {
    const { client } = await api([
      (_ask, answer) => answer.writeHead(502).end('bad gateway\n'),
      (_ask, answer) => answer.writeHead(302, { Location: 'http://elsewhere.invalid/' }).end(),
      (_ask, answer) => answer.end('<html>'),
    ]);
    expect((await failure(client.get(pods, 'x'))).message).toBe(
      'GET /api/v1/namespaces/default/pods/x was answered with HTTP 502: bad gateway',
    );
    expect((await failure(client.get(pods, 'x'))).message).toContain('HTTP 302');
    expect(await failure(client.get(pods, 'x'))).toMatchObject({ code: 'ERR_API_ANSWER' });
  });

  it('never takes a cut answer for a whole one', async () => {
    const { client } = await api([
      (ask, answer) => {
        answer.writeHead(200, { 'Content-Length': '1000' });
        answer.write('{"kind":"Pod"}', () => ask.socket.destroy());
      },
    ]);
    expect((await failure(client.get(pods, 'x'))).code).toBe('ERR_CONNECTION_LOST');
  });

  it('refuses an answer above its bound', async () => {
    const { client } = await api([json({ padding: 'x'.repeat(5000) })], {}, { maxAnswerBytes: 1000 });
    expect(await failure(client.get(pods, 'x'))).toMatchObject({ code: 'ERR_API_ANSWER' });
  });

  it('ends at its deadline, also in the middle of a body, and when the caller gives up', async () => {
    const { client } = await api([() => {}, (_ask, answer) => void answer.writeHead(200).write('{')]);
    const first = await failure(client.get(pods, 'x', { timeoutMs: 50 }));
    expect(first.message).toBe('GET /api/v1/namespaces/default/pods/x took longer than 50 ms');
    expect((await failure(client.get(pods, 'x', { timeoutMs: 50 }))).code).toBe('ERR_API_TIMEOUT');
    expect((await failure(client.get(pods, 'x', { signal: AbortSignal.timeout(50) }))).code).toBe('ERR_ABORTED');
  });

  it('waits as long as a 429 asks for, then tries again', async () => {
    const busy = json({ kind: 'Status', status: 'Failure', code: 429 }, 429, { 'Retry-After': '0' });
    const { client, asked } = await api([busy, busy, json(pod('web'))]);
    expect((await client.get(pods, 'web')).metadata.name).toBe('web');
    expect(asked).toHaveLength(3);
    const never = await api([busy]);
    expect(await failure(never.client.get(pods, 'web'))).toMatchObject({ httpStatus: 429 });
    expect(never.asked).toHaveLength(4);
  });

  it('passes warnings on', async () => {
    const warnings: string[] = [];
    const { client } = await api(
      [json(pod('web'), 200, { Warning: '299 - "say \\"please\\""' })],
      {},
      {
        onWarning: (text) => warnings.push(text),
      },
    );
    await client.get(pods, 'web');
    expect(warnings).toEqual(['say "please"']);
  });

  it('fails with the words of the transport when nothing listens', async () => {
    const { client, server, port } = await api([]);
    await new Promise((resolve) => server.close(resolve));
    const error = await failure(client.get(pods, 'x'));
    expect(error).toMatchObject({ code: 'ERR_DIAL', hop: 'apiserver' });
    expect(error.message).toContain(`127.0.0.1:${port}: connection refused`);
  });

  it('leaves the reading of a stream to the caller', async () => {
    const { client } = await api([(_ask, answer) => answer.end('one line\n')]);
    const answer = await client.stream('GET', '/api/v1/namespaces/default/pods/web/log?container=main', {
      query: { follow: true },
    });
    expect(String((await once(answer, 'data'))[0])).toBe('one line\n');
  });
});

const lines = (...events: unknown[]): string => events.map((event) => `${JSON.stringify(event)}\n`).join('');

describe('a watch', () => {
  it('gives every event, however its bytes are cut, and ends with the server', async () => {
    const text = Buffer.from(
      lines(
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
    const { client } = await api([(_ask, answer) => answer.end(lines({ type: 'ERROR', object: expired }))]);
    const error = await failure(client.watch(pods).next());
    expect(error).toMatchObject({ httpStatus: 410, message: expired.message });
  });

  it('throws when the connection breaks between events', async () => {
    const { client } = await api([
      (ask, answer) => void answer.write(lines({ type: 'ADDED', object: pod('a') }), () => ask.socket.destroy()),
    ]);
    const watch = client.watch(pods);
    expect((await watch.next()).value).toMatchObject({ type: 'ADDED' });
    expect(await failure(watch.next())).toMatchObject({ code: 'ERR_CONNECTION_LOST' });
  });

  it('closes its connection when the loop is left, and when its signal fires', async () => {
    const { client, asked } = await api([
      (_ask, answer) => void answer.write(lines({ type: 'ADDED', object: pod('a') })),
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
    expect(await failure(watch.next())).toMatchObject({ code: 'ERR_ABORTED' });
  });
});

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
      answer.end(lines(...events));
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
      (ask, answer) => void answer.write(lines(bookmark), () => ask.socket.destroy()),
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
