import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type Answer,
  type AnsweringApi,
  answeringApi,
  json,
  somePod as pod,
} from '../../test/support/answering-api.ts';
import { failureOf } from '../../test/support/failure.ts';
import { Loopback } from '../../test/support/loopback.ts';
import { ApiStatusError } from './api-error.ts';
import { leases, nodes, pods } from './resource-type.ts';

const loopback = new Loopback();
afterEach(() => loopback.close());

const api = (...args: Rest): Promise<AnsweringApi> => answeringApi(loopback, ...args);
type Rest = Parameters<typeof answeringApi> extends [unknown, ...infer Others] ? Others : never;

describe('a KubeClient', () => {
  it('reads, writes and deletes objects at their paths', async () => {
    const { client, asked } = await api([json(pod('web'))]);
    expect((await client.get(pods, 'web', { namespace: 'default' })).metadata.name).toBe('web');
    await client.create(pods, pod('web'));
    await client.update(pods, pod('web'), { subresource: 'status' });
    await client.patch(nodes, 'n1', { status: {} }, { subresource: 'status' });
    await client.delete(pods, 'web', { gracePeriodSeconds: 0, preconditions: { uid: 'u' }, dryRun: true });
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
      dryRun: ['All'],
    });
  });

  it('takes the namespace of its config where none is given, and keeps names inside their segment', async () => {
    const { client, asked } = await api([json(pod('web'))], { config: { namespace: 'mine' } });
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
    expect((await failureOf(client.create(pods, pod('b')))).code).toBe('ERR_CONNECTION_LOST');
    expect(asked).toHaveLength(2);
  });

  it('throws the Status that the API answered', async () => {
    const status = { kind: 'Status', status: 'Failure', reason: 'NotFound', message: 'pods "x" not found', code: 404 };
    const { client } = await api([json(status, 404)]);
    const error = await failureOf(client.get(pods, 'x'));
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
    expect((await failureOf(client.get(pods, 'x'))).message).toBe(
      'GET /api/v1/namespaces/default/pods/x was answered with HTTP 502: bad gateway',
    );
    expect((await failureOf(client.get(pods, 'x'))).message).toContain('HTTP 302');
    expect(await failureOf(client.get(pods, 'x'))).toMatchObject({ code: 'ERR_API_ANSWER' });
  });

  it('never takes a cut answer for a whole one', async () => {
    const { client } = await api([
      (ask, answer) => {
        answer.writeHead(200, { 'Content-Length': '1000' });
        answer.write('{"kind":"Pod"}', () => ask.socket.destroy());
      },
    ]);
    expect((await failureOf(client.get(pods, 'x'))).code).toBe('ERR_CONNECTION_LOST');
  });

  it('refuses an answer above its bound', async () => {
    const { client } = await api([json({ padding: 'x'.repeat(5000) })], { options: { maxAnswerBytes: 1000 } });
    expect(await failureOf(client.get(pods, 'x'))).toMatchObject({ code: 'ERR_API_ANSWER' });
  });

  it('ends at its deadline, also in the middle of a body, and when the caller gives up', async () => {
    const { client } = await api([() => {}, (_ask, answer) => void answer.writeHead(200).write('{')]);
    const first = await failureOf(client.get(pods, 'x', { timeoutMs: 50 }));
    expect(first.message).toBe('GET /api/v1/namespaces/default/pods/x took longer than 50 ms');
    expect((await failureOf(client.get(pods, 'x', { timeoutMs: 50 }))).code).toBe('ERR_API_TIMEOUT');
    expect((await failureOf(client.get(pods, 'x', { signal: AbortSignal.timeout(50) }))).code).toBe('ERR_ABORTED');
  });

  it('waits as long as a 429 asks for, then tries again', async () => {
    const busy = json({ kind: 'Status', status: 'Failure', code: 429 }, 429, { 'Retry-After': '0' });
    const { client, asked } = await api([busy, busy, json(pod('web'))]);
    expect((await client.get(pods, 'web')).metadata.name).toBe('web');
    expect(asked).toHaveLength(3);
    const never = await api([busy]);
    expect(await failureOf(never.client.get(pods, 'web'))).toMatchObject({ httpStatus: 429 });
    expect(never.asked).toHaveLength(4);
  });

  it('passes warnings on', async () => {
    const warnings: string[] = [];
    const { client } = await api([json(pod('web'), 200, { Warning: '299 - "say \\"please\\""' })], {
      options: { onWarning: (text) => warnings.push(text) },
    });
    await client.get(pods, 'web');
    expect(warnings).toEqual(['say "please"']);
  });

  it('fails with the words of the transport when nothing listens', async () => {
    const { client, port } = await api([]);
    await loopback.close();
    const error = await failureOf(client.get(pods, 'x'));
    expect(error).toMatchObject({ code: 'ERR_DIAL', hop: 'apiserver' });
    expect(error.message).toContain(`127.0.0.1:${port}: connection refused`);
  });

  it('tells who listens of each call, without its credentials', async () => {
    const traces: unknown[] = [];
    const note = (trace: unknown): void => void traces.push(trace);
    subscribe('exec:kubeapi:call', note);
    loopback.defer(() => unsubscribe('exec:kubeapi:call', note));
    const { client, port } = await api([json(pod('web'), 200, { 'Audit-Id': 'a1' })], { config: { token: 'secret' } });
    await client.get(pods, 'web');
    const url = `http://127.0.0.1:${port}/api/v1/namespaces/default/pods/web`;
    expect(traces).toMatchObject([{ method: 'GET', url, httpStatus: 200, auditId: 'a1', error: undefined }]);
    expect(JSON.stringify(traces)).not.toContain('secret');
  });

  it('leaves the reading of a stream to the caller', async () => {
    const { client } = await api([(_ask, answer) => answer.end('one line\n')]);
    const answer = await client.stream('GET', '/api/v1/namespaces/default/pods/web/log?container=main', {
      query: { follow: true },
    });
    expect(String((await once(answer, 'data'))[0])).toBe('one line\n');
  });
});
