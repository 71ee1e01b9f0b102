import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ApiAnswer, ApiWorld, testTokens } from '../../test/support/api-world.ts';
import { nodes, pods } from '../kubeapi/index.ts';
import { encodeField } from './protobuf-message.ts';
import { REQUEST_CHANNEL, type RequestRecord } from './request-trace.ts';

/** What stands at a path of keys and indexes. */
function valueAt(json: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string | number, unknown> | undefined)?.[key], json);
}

let world: ApiWorld;

beforeAll(async () => {
  world = await ApiWorld.start({ requestTimeoutMs: 500 });
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

const podsPath = '/api/v1/namespaces/default/pods';
const tableAccept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

const web = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', labels: { app: 'web' } },
  spec: { nodeName: 'n1', containers: [{ name: 'main', image: 'busybox:1' }] },
};

beforeEach(async () => {
  for (const { metadata } of (await world.server.registry.list(pods)).items) {
    const address = { namespace: metadata.namespace ?? '', name: metadata.name };
    await world.server.registry.delete(pods, address, { gracePeriodSeconds: 0 });
  }
});

describe('every answer', () => {
  it('bears the caller’s audit id when it is sane, and a new one else', async () => {
    const own = await world.call('/version', { headers: { 'Audit-ID': 'session-1.a_b' } });
    expect(own.headers['audit-id']).toBe('session-1.a_b');
    for (const insane of ['a b', '-x', 'x'.repeat(65), 'a,b', '']) {
      const { headers } = await world.call('/version', { headers: { 'Audit-ID': insane } });
      expect(headers['audit-id']).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
    }
  });

  it('is not cached, and an error is not sniffed', async () => {
    const fine = await world.call('/version');
    expect(fine.headers).toMatchObject({ 'cache-control': 'no-cache, private', 'content-type': 'application/json' });
    const error = await world.call('/nope');
    expect(error.headers).toMatchObject({
      'cache-control': 'no-cache, private',
      'content-type': 'application/json',
      'x-content-type-options': 'nosniff',
      'audit-id': expect.any(String) as string,
    });
  });

  it('is told to whoever listens on the diagnostics channel', async () => {
    const records: RequestRecord[] = [];
    const listen = (message: unknown): void => void records.push(message as RequestRecord);
    subscribe(REQUEST_CHANNEL, listen);
    await world.call('/version?x=1', { headers: { 'Audit-ID': 'told' }, token: testTokens.bob });
    unsubscribe(REQUEST_CHANNEL, listen);
    expect(records).toEqual([
      {
        auditId: 'told',
        method: 'GET',
        uri: '/version?x=1',
        user: 'bob',
        status: 200,
        durationMs: expect.any(Number) as number,
      },
    ]);
  });
});

const protobufHeaders = { 'Content-Type': 'application/vnd.kubernetes.protobuf' };

/** An object as a client sends it that prefers protobuf. */
function protobuf(apiVersion: string, kind: string, ...fields: Buffer[]): Buffer {
  const typeMeta = encodeField(1, Buffer.concat([encodeField(1, apiVersion), encodeField(2, kind)]));
  return Buffer.concat([Buffer.from('6b387300', 'hex'), typeMeta, encodeField(2, Buffer.concat(fields))]);
}

describe('a request that cannot be served', () => {
  it.each([
    ['GET', '/nope', 404, 'the server could not find the requested resource'],
    ['GET', '/api/v1/widgets', 404, 'the server could not find the requested resource'],
    ['GET', '/apis/apps/v1/deployments', 404, 'the server could not find the requested resource'],
    ['GET', '/api/v1/namespaces/default/nodes/n1', 404, 'the server could not find the requested resource'],
    ['GET', '/api/v1/pods/web', 404, 'the server could not find the requested resource'],
    ['GET', `${podsPath}/web/unknown`, 404, 'the server could not find the requested resource'],
    ['GET', `${podsPath}/web`, 404, 'pods "web" not found'],
    ['GET', '/apis/coordination.k8s.io/v1/namespaces/a/leases/b', 404, 'leases.coordination.k8s.io "b" not found'],
    ['POST', '/version', 405, 'the server does not allow this method on the requested resource'],
    ['POST', '/api/v1/pods', 405, 'the server does not allow this method on the requested resource'],
    ['POST', `${podsPath}/web`, 405, 'the server does not allow this method on the requested resource'],
    ['DELETE', `${podsPath}/web/status`, 405, 'the server does not allow this method on the requested resource'],
    ['OPTIONS', podsPath, 405, 'the server does not allow this method on the requested resource'],
    [
      'GET',
      '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      405,
      'the server does not allow this method on the requested resource',
    ],
    ['GET', `${podsPath}?fieldSelector=spec.foo%3D1`, 400, 'field label not supported: spec.foo'],
    ['GET', `${podsPath}?watch=1&fieldSelector=spec.foo%3D1`, 400, 'field label not supported: spec.foo'],
    ['GET', `${podsPath}?limit=x`, 400, 'strconv.ParseInt: parsing "x": invalid syntax'],
    ['GET', '/api/v1/namespaces/a%2fb/pods', 400, '"a/b" cannot be a name in a path'],
  ])('%s %s is answered with %i', async (method, path, code, message) => {
    const { status, json } = await world.call(path, { method });
    expect(json).toMatchObject({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, code });
    expect(status).toBe(code);
  });

  it.each([
    ['is not JSON', '{', {}, 400],
    ['is a list', '[]', {}, 400],
    ['is empty', '', {}, 400],
    ['nests too deep', '{"a":'.repeat(101) + '1' + '}'.repeat(101), {}, 400],
    ['has a field of another type', { ...web, metadata: { name: 5 } }, {}, 400],
    ['has broken containers', { ...web, spec: { containers: [{ name: 'a', image: 1 }] } }, {}, 400],
    ['is another kind', { ...web, kind: 'Node' }, {}, 400],
    ['lies in another namespace', { ...web, metadata: { name: 'web', namespace: 'other' } }, {}, 400],
    ['breaks a rule of its fields', { ...web, spec: { containers: [] } }, {}, 422],
    ['is too large', Buffer.alloc(3 * 1024 * 1024 + 1, 32), {}, 413],
    [
      'is too large and comes in chunks',
      Buffer.alloc(3 * 1024 * 1024 + 1, 32),
      { 'Transfer-Encoding': 'chunked' },
      413,
    ],
    ['is YAML', 'kind: Pod', { 'Content-Type': 'application/yaml' }, 415],
    ['is compressed', 'x', { 'Content-Encoding': 'gzip' }, 415],
    ['is not UTF-8', Buffer.from([0x22, 0xff, 0x22]), {}, 400],
  ])('with a body that %s', async (_title, body, headers, code) => {
    const { status, json } = await world.call(podsPath, {
      method: 'POST',
      body,
      headers: { 'Content-Type': 'application/json', ...headers },
    });
    expect(json).toMatchObject({ kind: 'Status', status: 'Failure', code });
    expect(status).toBe(code);
    expect((await world.server.registry.list(pods)).items).toEqual([]);
  });

  it('with a protobuf body of another kind or version', async () => {
    const headers = protobufHeaders;
    const post = (body: Buffer): Promise<unknown> => world.call(podsPath, { method: 'POST', body, headers });
    expect(await post(protobuf('v1', 'ConfigMap'))).toMatchObject({
      status: 400,
      json: { message: expect.stringContaining('the kind in the data (ConfigMap) does not match') as string },
    });
    expect(await post(protobuf('v2', 'Pod'))).toMatchObject({
      status: 400,
      json: { message: expect.stringContaining('the API version in the data (v2) does not match') as string },
    });
  });

  it('with a protobuf body that is cut off', async () => {
    const body = protobuf('v1', 'Pod', encodeField(1, encodeField(1, 'web'))).subarray(0, -1);
    expect(await world.call(podsPath, { method: 'POST', body, headers: protobufHeaders })).toMatchObject({
      status: 400,
      json: { reason: 'BadRequest', message: 'the body is not protobuf: a field of 7 bytes is cut off' },
    });
  });

  it('with an Accept that cannot be met', async () => {
    expect(await world.call(podsPath, { headers: { Accept: 'text/html' } })).toMatchObject({ status: 406 });
  });

  it('whose body does not come in time', async () => {
    const socket = await world.connect();
    socket.write(
      `POST ${podsPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${testTokens.admin}\r\nContent-Length: 10\r\n\r\n{`,
    );
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    expect(chunk.toString()).toMatch(/^HTTP\/1.1 504 Gateway Timeout\r\n[^]*Connection: close/);
    await once(socket, 'close');
  });
});

describe('a deletion whose options are wrong', () => {
  const dryRunText = 'dryRun: Unsupported value: []string{"Foo"}: supported values: "All"';
  const policyText =
    'propagationPolicy: Unsupported value: "Foo": supported values: "Foreground", "Background", "Orphan", "nil"';
  const invalid = (why: string): string => `DeleteOptions.meta.k8s.io "" is invalid: ${why}`;
  const unreadable = (why: string, kind = 'DeleteOptions'): string =>
    `${kind} in version "v1" cannot be handled as a DeleteOptions: ${why}`;

  const bodies: readonly (readonly [body: unknown, code: number, message: string])[] = [
    [{ dryRun: ['Foo'] }, 422, invalid(dryRunText)],
    [{ dryRun: [''] }, 422, invalid('dryRun: Unsupported value: []string{""}: supported values: "All"')],
    [
      { dryRun: ['All', 'Foo'] },
      422,
      invalid('dryRun: Unsupported value: []string{"All", "Foo"}: supported values: "All"'),
    ],
    [{ propagationPolicy: 'Foo' }, 422, invalid(policyText)],
    [{ propagationPolicy: 'Foo', dryRun: ['Foo'] }, 422, invalid(`[${policyText}, ${dryRunText}]`)],
    [
      { propagationPolicy: 'Orphan', orphanDependents: true },
      422,
      invalid(
        'propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
      ),
    ],
    [
      { dryRun: 'All' },
      400,
      unreadable('json: cannot unmarshal string into Go struct field DeleteOptions.dryRun of type []string'),
    ],
    [
      { kind: 'Pod', apiVersion: 'v1' },
      400,
      unreadable('the kind in the data (Pod) does not match the expected kind (DeleteOptions)', 'Pod'),
    ],
    [
      { preconditions: { uid: 5 } },
      400,
      unreadable(
        'json: cannot unmarshal number into Go struct field Preconditions.preconditions.uid of type types.UID',
      ),
    ],
    [
      { preconditions: { resourceVersion: 5 } },
      400,
      unreadable(
        'json: cannot unmarshal number into Go struct field Preconditions.preconditions.resourceVersion of type string',
      ),
    ],
    [
      { gracePeriodSeconds: 1.5 },
      400,
      unreadable(
        'json: cannot unmarshal number 1.5 into Go struct field DeleteOptions.gracePeriodSeconds of type int64',
      ),
    ],
  ];

  it.each(bodies)('%j deletes nothing', async (body, code, message) => {
    await world.call(podsPath, { method: 'POST', body: web });
    const reason = code === 422 ? 'Invalid' : 'BadRequest';
    for (const path of [`${podsPath}/web`, podsPath]) {
      const { status, json } = await world.call(path, { method: 'DELETE', body });
      expect(json).toMatchObject({ kind: 'Status', status: 'Failure', code, reason, message });
      expect(status).toBe(code);
    }
    const { json } = await world.call(`${podsPath}/web`);
    expect(valueAt(json, ['metadata', 'deletionTimestamp'])).toBeUndefined();
  });

  it.each([
    ['dryRun=Foo', 422, invalid(dryRunText)],
    ['propagationPolicy=Foo', 422, invalid(policyText)],
    ['gracePeriodSeconds=x', 400, 'strconv.ParseInt: parsing "x": invalid syntax'],
  ])('?%s deletes nothing', async (query, code, message) => {
    await world.call(podsPath, { method: 'POST', body: web });
    const { json } = await world.call(`${podsPath}/web?${query}`, { method: 'DELETE' });
    expect(json).toMatchObject({ code, message });
    expect(await world.call(`${podsPath}/web`)).toMatchObject({ status: 200 });
  });

  it('evicts nothing either', async () => {
    await world.call(podsPath, { method: 'POST', body: web });
    const eviction = { metadata: { name: 'web' }, deleteOptions: { dryRun: ['Foo'] } };
    const { json } = await world.call(`${podsPath}/web/eviction`, { method: 'POST', body: eviction });
    expect(json).toMatchObject({ code: 422, message: invalid(dryRunText) });
    const { json: pod } = await world.call(`${podsPath}/web`);
    expect(valueAt(pod, ['metadata', 'deletionTimestamp'])).toBeUndefined();
  });

  it('says nothing of other versions, of fields that are unknown and of a grace below nothing, as upstream', async () => {
    await world.call(podsPath, { method: 'POST', body: web });
    const body = { apiVersion: 'policy/v1', kind: 'DeleteOptions', foo: 1, gracePeriodSeconds: -5, dryRun: ['All'] };
    expect(await world.call(`${podsPath}/web`, { method: 'DELETE', body })).toMatchObject({
      status: 200,
      json: { metadata: { deletionGracePeriodSeconds: 1 } },
    });
  });
});

describe('what cannot be read', () => {
  it.each([
    ['{"a":x}', 'the body is not JSON'],
    ['{"a":', 'the body is not JSON'],
    ['{"a":"\n"}', 'the body is not JSON'],
    [' ', 'the body is empty: JSON is needed'],
    [Buffer.from([0x22, 0xff, 0x22]), 'the body is not UTF-8'],
  ])('as the body %j is called so, in no engine’s words', async (body, message) => {
    for (const [method, path, type] of [
      ['POST', podsPath, 'json'],
      ['DELETE', `${podsPath}/web`, 'json'],
      ['PATCH', `${podsPath}/web`, 'merge-patch+json'],
    ] as const) {
      const headers = { 'Content-Type': `application/${type}` };
      expect(await world.call(path, { method, headers, body })).toMatchObject({ status: 400, json: { message } });
    }
  });

  it.each(['x', 'e30', 'eyJhIg', '%21'])('as the token %s of a page is called so too', async (token) => {
    expect((await world.call(`${podsPath}?limit=1&continue=${token}`)).json).toMatchObject({
      code: 400,
      message: 'invalid continue token: continue key is not valid: this server has not given it',
    });
  });

  it.each(['null', '[]', '5', '"x"'])('as the merge patch %s is refused', async (body) => {
    await world.call(podsPath, { method: 'POST', body: web });
    const headers = { 'Content-Type': 'application/merge-patch+json' };
    expect((await world.call(`${podsPath}/web`, { method: 'PATCH', headers, body })).json).toMatchObject({
      code: 400,
      message: 'a merge patch must be a JSON object',
    });
  });

  it('is a JSON patch of too many operations', async () => {
    await world.call(podsPath, { method: 'POST', body: web });
    const body = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/metadata/name', value: 'web' }));
    const headers = { 'Content-Type': 'application/json-patch+json' };
    expect((await world.call(`${podsPath}/web`, { method: 'PATCH', headers, body })).json).toMatchObject({
      code: 413,
      reason: 'RequestEntityTooLarge',
      message: 'Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001',
    });
  });
});

describe('a JSON patch that tests the version', () => {
  it('is made when it is the current one, and not when it is not', async () => {
    const made = (await world.call(podsPath, { method: 'POST', body: web })).json as typeof web & {
      metadata: { resourceVersion: string };
    };
    const patch = (value: unknown): Promise<ApiAnswer> => {
      const test = { op: 'test', path: '/metadata/resourceVersion', value };
      const body = [test, { op: 'add', path: '/metadata/labels', value: { by: String(value) } }];
      const headers = { 'Content-Type': 'application/json-patch+json' };
      return world.call(`${podsPath}/web`, { method: 'PATCH', headers, body });
    };
    const { resourceVersion } = made.metadata;
    expect(await patch(resourceVersion)).toMatchObject({
      status: 200,
      json: { metadata: { labels: { by: resourceVersion } } },
    });
    expect(await patch(resourceVersion)).toMatchObject({ status: 422 });
  });
});

describe('a body in which a field comes twice', () => {
  const spec = JSON.stringify(web.spec);
  const twice = `{"metadata":{"name":"a","name":"b"},"foo":{"x":1,"x":2},"foo":2,"spec":${spec}}`;

  const post = async (fieldValidation: string): Promise<ApiAnswer> =>
    world.call(`${podsPath}?fieldValidation=${fieldValidation}`, { method: 'POST', body: twice });

  it('is refused, warned of or taken, as the caller asks', async () => {
    expect(await post('Strict')).toMatchObject({
      status: 400,
      json: {
        message:
          'Pod in version "v1" cannot be handled as a Pod: strict decoding error: duplicate field "metadata.name", unknown field "foo"',
      },
    });
    const warned = await post('Warn');
    expect(warned).toMatchObject({ status: 201, json: { metadata: { name: 'b' } } });
    expect(warned.headers['warning']).toBe(
      String.raw`299 - "duplicate field \"metadata.name\"", 299 - "unknown field \"foo\""`,
    );
    const ignored = await post('Ignore');
    expect(ignored.status).toBe(409);
    expect(ignored.headers).not.toHaveProperty('warning');
  });

  it.each([
    ['merge-patch', '{"metadata":{"labels":{"a":"1","a":"2"}}}', 'duplicate field "metadata.labels.a"'],
    ['strategic-merge-patch', '{"metadata":{"labels":{"a":"1","a":"2"}}}', 'duplicate field "metadata.labels.a"'],
    [
      'json-patch',
      '[{"op":"test","op":"add","path":"/metadata/labels","value":{}}]',
      'json patch duplicate field "[0].op"',
    ],
  ])('is judged so as a %s too', async (type, body, fault) => {
    await world.call(podsPath, { method: 'POST', body: web });
    const patch = async (fieldValidation: string): Promise<ApiAnswer> =>
      world.call(`${podsPath}/web?fieldValidation=${fieldValidation}`, {
        method: 'PATCH',
        headers: { 'Content-Type': `application/${type}+json` },
        body,
      });
    const strict = await patch('Strict');
    expect(strict.status).toBe(422);
    expect(String(valueAt(strict.json, ['message'])).endsWith(`strict decoding error: ${fault}`)).toBe(true);
    expect((await patch('Warn')).headers['warning']).toBe(`299 - ${JSON.stringify(fault)}`);
    expect((await patch('Ignore')).headers).not.toHaveProperty('warning');
  });
});

describe('objects over HTTP', () => {
  it('are read from protobuf and answered as JSON', async () => {
    const container = Buffer.concat([encodeField(1, 'main'), encodeField(2, 'image')]);
    const pod = protobuf(
      'v1',
      'Pod',
      encodeField(1, encodeField(1, 'sent')),
      encodeField(2, encodeField(2, container)),
    );
    const headers = { ...protobufHeaders, Accept: 'application/vnd.kubernetes.protobuf,application/json' };
    const created = await world.call(podsPath, { method: 'POST', body: pod, headers });
    expect(created).toMatchObject({
      status: 201,
      json: {
        kind: 'Pod',
        metadata: { name: 'sent', namespace: 'default' },
        spec: { containers: [{ name: 'main', image: 'image' }], restartPolicy: 'Always' },
      },
    });
    const options = protobuf('v1', 'DeleteOptions', Buffer.from('0800', 'hex'));
    const deletion = { method: 'DELETE', body: options, headers: protobufHeaders };
    expect(await world.call(`${podsPath}/sent`, deletion)).toMatchObject({ status: 200 });
    expect(await world.call(`${podsPath}/sent`)).toMatchObject({ status: 404 });
  });

  it('are created, read, listed, patched, replaced and deleted', async () => {
    const created = await world.call(podsPath, { method: 'POST', body: web });
    expect(created.status).toBe(201);
    expect(created.json).toMatchObject({ kind: 'Pod', metadata: { name: 'web', namespace: 'default' } });
    expect((await world.call(podsPath, { method: 'POST', body: web })).json).toMatchObject({
      reason: 'AlreadyExists',
      message: 'pods "web" already exists',
      details: { name: 'web', kind: 'pods' },
      code: 409,
    });
    expect((await world.call(`${podsPath}/web`)).json).toEqual(created.json);

    const { json: list } = await world.call(`${podsPath}?labelSelector=app%3Dweb`);
    expect(list).toMatchObject({ kind: 'PodList', apiVersion: 'v1', items: [{ metadata: { name: 'web' } }] });
    expect(valueAt(list, ['items']) as object[]).not.toEqual([expect.objectContaining({ kind: 'Pod' })]);

    const merge = { 'Content-Type': 'application/merge-patch+json' };
    const labelled = await world.call(`${podsPath}/web`, {
      method: 'PATCH',
      headers: merge,
      body: { metadata: { labels: { tier: 'front' } } },
    });
    expect(labelled.json).toMatchObject({ metadata: { labels: { app: 'web', tier: 'front' } } });

    const strategic = { 'Content-Type': 'application/strategic-merge-patch+json' };
    const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
    const uid = valueAt(created.json, ['metadata', 'uid']);
    const reported = await world.call(`${podsPath}/web/status`, {
      method: 'PATCH',
      headers: strategic,
      body: { metadata: { uid }, status },
    });
    expect(reported.json).toMatchObject({ status: { phase: 'Running', qosClass: 'BestEffort' } });
    const other = await world.call(`${podsPath}/web/status`, {
      method: 'PATCH',
      headers: strategic,
      body: { metadata: { uid: 'another' }, status },
    });
    expect(other).toMatchObject({ status: 409, json: { reason: 'Conflict' } });

    const stale = await world.call(`${podsPath}/web`, { method: 'PUT', body: created.json });
    expect(stale).toMatchObject({ status: 409, json: { reason: 'Conflict' } });
    const renamed = await world.call(`${podsPath}/web`, { method: 'PUT', body: { ...web, metadata: { name: 'x' } } });
    expect(renamed.json).toMatchObject({
      message: 'the name of the object (x) does not match the name on the URL (web)',
    });

    const elsewhere = await world.call(`${podsPath}/web`, {
      method: 'PATCH',
      headers: strategic,
      body: { metadata: { namespace: 'x' } },
    });
    expect(elsewhere).toMatchObject({
      status: 400,
      json: { message: 'the namespace of the provided object does not match the namespace sent on the request' },
    });

    const mistaken = await world.call(`${podsPath}/web`, { method: 'DELETE', body: { preconditions: { uid: 'x' } } });
    expect(mistaken.json).toMatchObject({
      message:
        `Operation cannot be fulfilled on Pod "web": the UID in the precondition (x) does not match the UID in record ` +
        `(${String(uid)}). The object might have been deleted and then recreated`,
      details: { name: 'web', kind: 'Pod' },
    });
    const marked = await world.call(`${podsPath}/web`, { method: 'DELETE', body: { propagationPolicy: 'Background' } });
    expect(marked.json).toMatchObject({ kind: 'Pod', metadata: { deletionGracePeriodSeconds: 30 } });
    const gone = await world.call(`${podsPath}/web`, {
      method: 'DELETE',
      body: { gracePeriodSeconds: 0, preconditions: { uid } },
    });
    expect(gone).toMatchObject({ status: 200, json: { kind: 'Pod' } });
    expect(await world.call(`${podsPath}/web`)).toMatchObject({ status: 404 });
  });

  it('are put as new only where their kind allows it', async () => {
    const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
    const lease = { metadata: { name: 'n9' }, spec: { holderIdentity: 'n9' } };
    expect(await world.call(`${leases}/n9`, { method: 'PUT', body: lease })).toMatchObject({ status: 201 });
    expect(await world.call(`${leases}/n9`, { method: 'PUT', body: lease })).toMatchObject({ status: 200 });
    expect(await world.call(`${leases}/n9`, { method: 'DELETE' })).toMatchObject({
      json: {
        kind: 'Status',
        status: 'Success',
        details: { name: 'n9', group: 'coordination.k8s.io', kind: 'leases' },
      },
    });
    expect(await world.call(`${podsPath}/web`, { method: 'PUT', body: web })).toMatchObject({ status: 404 });
  });

  it('are none where a real kubelet only waits for the list, and nothing makes one', async () => {
    const services = '/api/v1/namespaces/default/services';
    const addressed = '/api/v1/services?fieldSelector=spec.clusterIP%21%3DNone&limit=500&resourceVersion=0';
    for (const path of ['/api/v1/services', addressed]) {
      expect(await world.call(path)).toMatchObject({ status: 200, json: { kind: 'ServiceList', items: [] } });
    }
    const body = { metadata: { name: 'web' } };
    expect(await world.call(services, { method: 'POST', body })).toMatchObject({ status: 405 });
    expect(await world.call(services, { method: 'DELETE' })).toMatchObject({ status: 405 });
    expect(await world.call(`${services}/web`)).toMatchObject({
      status: 404,
      json: { message: 'services "web" not found' },
    });
  });

  it('define no further kinds, for whoever looks, and discovery does not speak of any', async () => {
    const group = '/apis/apiextensions.k8s.io';
    const definitions = `${group}/v1/customresourcedefinitions`;
    expect(await world.call(definitions)).toMatchObject({
      status: 200,
      json: { kind: 'CustomResourceDefinitionList', apiVersion: 'apiextensions.k8s.io/v1', items: [] },
    });
    expect(await world.call(definitions, { method: 'POST', body: {} })).toMatchObject({ status: 405 });
    expect(await world.call(group)).toMatchObject({ status: 404 });
  });

  it('hold the CSINode that a node writes, its own alone', async () => {
    const csiNodes = '/apis/storage.k8s.io/v1/csinodes';
    const token = testTokens.node1;
    const body = { metadata: { name: 'n1' }, spec: { drivers: [] } };
    expect(await world.call(csiNodes, { method: 'POST', body, token })).toMatchObject({ status: 201 });
    expect(await world.call(`${csiNodes}/n1`, { token })).toMatchObject({ status: 200, json: { kind: 'CSINode' } });
    const other = { ...body, metadata: { name: 'n2' } };
    expect(await world.call(csiNodes, { method: 'POST', body: other, token })).toMatchObject({ status: 403 });
  });

  it('refuse server-side apply with a sentence', async () => {
    const headers = { 'Content-Type': 'application/apply-patch+yaml' };
    const { status, json } = await world.call(`${podsPath}/web`, { method: 'PATCH', headers, body: web });
    expect(status).toBe(415);
    expect(json).toMatchObject({ message: expect.stringContaining('server-side apply is not there') as string });
  });

  it('change nothing in a dry run', async () => {
    expect(await world.call(`${podsPath}?dryRun=All`, { method: 'POST', body: web })).toMatchObject({ status: 201 });
    expect(await world.call(`${podsPath}/web`)).toMatchObject({ status: 404 });
    const refused = await world.call(`${podsPath}?dryRun=Some`, { method: 'POST', body: web });
    expect(refused).toMatchObject({
      status: 422,
      json: {
        message:
          'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: []string{"Some"}: supported values: "All"',
      },
    });
  });

  it('are deleted as a collection by selector', async () => {
    await world.call(podsPath, { method: 'POST', body: { ...web, spec: { containers: web.spec.containers } } });
    const other = { ...web, metadata: { name: 'other' } };
    await world.call(podsPath, { method: 'POST', body: other });
    const gone = await world.call(`${podsPath}?labelSelector=app%3Dweb`, { method: 'DELETE' });
    expect(gone.json).toMatchObject({ kind: 'PodList', items: [{ metadata: { name: 'web' } }] });
    expect((await world.server.registry.list(pods)).items).toMatchObject([{ metadata: { name: 'other' } }]);
  });

  it('are deleted as a collection by pages', async () => {
    for (const name of ['a', 'b', 'c']) {
      await world.call(podsPath, {
        method: 'POST',
        body: { metadata: { name }, spec: { containers: web.spec.containers } },
      });
    }
    const first = await world.call(`${podsPath}?limit=1`, { method: 'DELETE' });
    expect(first.json).toMatchObject({ metadata: { remainingItemCount: 2 }, items: [{ metadata: { name: 'a' } }] });
    expect((await world.server.registry.list(pods)).items).toMatchObject([
      { metadata: { name: 'b' } },
      { metadata: { name: 'c' } },
    ]);
    const token = String(valueAt(first.json, ['metadata', 'continue']));
    const last = await world.call(`${podsPath}?continue=${token}`, { method: 'DELETE' });
    expect(last.json).toMatchObject({ items: [{ metadata: { name: 'b' } }, { metadata: { name: 'c' } }] });
    expect(await world.call(`${podsPath}?limit=x`, { method: 'DELETE' })).toMatchObject({ status: 400 });
  });

  it('come as Tables with what a row is asked to hold', async () => {
    await world.call(podsPath, { method: 'POST', body: web });
    const { json } = await world.call(podsPath, { headers: { Accept: tableAccept } });
    expect(json).toMatchObject({
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      columnDefinitions: [{ name: 'Name', format: 'name', priority: 0 }, {}, {}, {}, {}, { priority: 1 }, {}, {}, {}],
      rows: [
        {
          cells: ['web', '0/1', 'Pending', '0', /s$/, '<none>', 'n1', '<none>', '<none>'].map(
            (cell) => (cell instanceof RegExp ? expect.stringMatching(cell) : cell) as unknown,
          ),
          object: { kind: 'PartialObjectMetadata', metadata: { name: 'web' } },
        },
      ],
    });
    const whole = await world.call(`${podsPath}/web?includeObject=Object`, { headers: { Accept: tableAccept } });
    expect(whole.json).toMatchObject({ rows: [{ object: { kind: 'Pod', spec: {} } }] });
    const none = await world.call(`${podsPath}?includeObject=None`, { headers: { Accept: tableAccept } });
    expect(valueAt(none.json, ['rows', '0', 'object'])).toBeUndefined();
  });

  it('that are as bad as can be leave the lists readable', async () => {
    await world.call('/api/v1/nodes', {
      method: 'POST',
      body: { metadata: { name: 'n1' }, spec: null, status: { addresses: null } },
    });
    await world.call('/api/v1/namespaces/default/events', {
      method: 'POST',
      body: { metadata: { name: 'e' }, involvedObject: {} },
    });
    for (const plural of ['nodes', 'namespaces/default/events', 'namespaces', 'serviceaccounts']) {
      expect(await world.call(`/api/v1/${plural}`, { headers: { Accept: tableAccept } })).toMatchObject({
        status: 200,
      });
    }
    await world.server.registry.delete(nodes, { namespace: '', name: 'n1' });
  });
});
