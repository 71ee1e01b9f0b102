import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiWorld, testTokens } from '../../test/support/api-world.ts';
import { pods } from '../kubeapi/index.ts';
import { MemoryStore } from '../store/index.ts';
import type { ApiObject } from './api-object.ts';
import { REQUEST_CHANNEL, type RequestRecord } from './request-trace.ts';

interface Line {
  readonly type: string;
  readonly object: {
    readonly kind?: string;
    readonly code?: number;
    readonly reason?: string;
    readonly message?: string;
    readonly metadata: Record<string, unknown>;
    readonly columnDefinitions?: readonly unknown[];
    readonly rows?: readonly { readonly cells: readonly unknown[] }[];
  };
}

/** A watch as a client sees it. */
class Watching {
  readonly response: IncomingMessage;
  readonly #lines: AsyncIterator<string>;

  constructor(response: IncomingMessage) {
    this.response = response;
    this.#lines = createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]();
  }

  /** The next event, or undefined at the end. */
  async next(): Promise<Line | undefined> {
    const { value, done } = await this.#lines.next();
    return done === true ? undefined : (JSON.parse(value) as Line);
  }
}

let world: ApiWorld;

beforeEach(async () => {
  world = await ApiWorld.start({ store: new MemoryStore({ historyEvents: 20 }) });
  return () => world[Symbol.asyncDispose]();
});

const open: IncomingMessage[] = [];
afterEach(() => {
  for (const response of open.splice(0)) response.destroy();
});

async function watch(query: string, accept = 'application/json'): Promise<Watching> {
  const call = request({
    host: '127.0.0.1',
    port: world.port,
    path: `/api/v1/namespaces/default/pods?watch=true&${query}`,
    ca: world.authority.certificate,
    agent: false,
    headers: { Authorization: `Bearer ${testTokens.admin}`, Accept: accept },
  });
  call.end();
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  open.push(response);
  expect(response.statusCode).toBe(200);
  expect(response.headers['content-type']).toBe('application/json');
  expect(response.headers['transfer-encoding']).toBe('chunked');
  return new Watching(response);
}

const pod = (name: string): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', labels: { app: name } },
  spec: { containers: [{ name: 'c', image: 'i' }] },
});

const create = (name: string) => world.server.registry.create(pods, pod(name));
const remove = (name: string) => world.server.registry.delete(pods, { namespace: 'default', name });
const wordsOf = (line: Line | undefined) => `${line?.type} ${String(line?.object.metadata['name'])}`;

describe('a watch', () => {
  it('without a version shows what is there, then each change', async () => {
    await create('a');
    const events = await watch('');
    expect(wordsOf(await events.next())).toBe('ADDED a');
    const { metadata } = await create('b');
    const added = await events.next();
    expect(wordsOf(added)).toBe('ADDED b');
    expect(added?.object.kind).toBe('Pod');
    expect(added?.object.metadata['resourceVersion']).toBe(metadata.resourceVersion);
    const gone = await remove('b');
    const deleted = await events.next();
    expect(wordsOf(deleted)).toBe('DELETED b');
    expect(deleted?.object.metadata['resourceVersion']).toBe(gone.object.metadata.resourceVersion);
  });

  it('from a version shows later changes alone', async () => {
    await create('a');
    const { metadata } = await world.server.registry.list(pods);
    await create('b');
    const events = await watch(`resourceVersion=${metadata.resourceVersion}`);
    expect(wordsOf(await events.next())).toBe('ADDED b');
  });

  it('of one object by its name is quiet about others', async () => {
    const events = await watch('fieldSelector=metadata.name%3Db');
    await create('a');
    await create('b');
    expect(wordsOf(await events.next())).toBe('ADDED b');
  });

  it('as Tables has columns once', async () => {
    await create('a');
    const events = await watch('', 'application/json;as=Table;v=v1;g=meta.k8s.io');
    const first = await events.next();
    expect(first?.object).toMatchObject({
      kind: 'Table',
      rows: [{ cells: expect.arrayContaining(['a', '0/1', 'Pending']) as string[] }],
    });
    expect(first?.object.columnDefinitions).toHaveLength(9);
    await create('b');
    const second = await events.next();
    expect(second?.object.rows?.[0]?.cells[0]).toBe('b');
    expect(second?.object.columnDefinitions ?? []).toHaveLength(0);
  });

  it('from a version that is forgotten ends with an ERROR of 410', async () => {
    for (let n = 0; n < 30; n += 1) await create(`p${n}`);
    const events = await watch('resourceVersion=2');
    expect(await events.next()).toMatchObject({
      type: 'ERROR',
      object: {
        kind: 'Status',
        reason: 'Expired',
        code: 410,
        message: expect.stringMatching(/^too old resource version: 2 \(\d+\)$/) as string,
      },
    });
    expect(await events.next()).toBeUndefined();
  });

  it('from a version that is not reached ends with an ERROR', async () => {
    const events = await watch('resourceVersion=999999');
    expect(await events.next()).toMatchObject({ type: 'ERROR', object: { reason: 'Timeout', code: 504 } });
    expect(await events.next()).toBeUndefined();
  });

  it('that asked for it shows all objects, then says that they were all', async () => {
    await create('a');
    const events = await watch('sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true');
    expect(wordsOf(await events.next())).toBe('ADDED a');
    const { metadata } = await world.server.registry.list(pods);
    expect(await events.next()).toEqual({
      type: 'BOOKMARK',
      object: {
        kind: 'Pod',
        apiVersion: 'v1',
        metadata: { resourceVersion: metadata.resourceVersion, annotations: { 'k8s.io/initial-events-end': 'true' } },
      },
    });
    await create('b');
    expect(wordsOf(await events.next())).toBe('ADDED b');
  });

  it('refuses options that do not go together', async () => {
    for (const query of [
      'sendInitialEvents=true',
      'resourceVersionMatch=Exact',
      'resourceVersion=x',
      'timeoutSeconds=x',
    ]) {
      const { status, json } = await world.call(`/api/v1/pods?watch=1&${query}`);
      expect([400, 422]).toContain(status);
      expect(json).toMatchObject({ kind: 'Status', status: 'Failure' });
    }
  });

  it('ends after its time with a bookmark of how far it came', async () => {
    const events = await watch('timeoutSeconds=1&allowWatchBookmarks=true&labelSelector=app%3Dnone');
    await create('a');
    const revision = String(await world.server.registry.revision());
    expect(await events.next()).toMatchObject({
      type: 'BOOKMARK',
      object: { metadata: { resourceVersion: revision } },
    });
    expect(await events.next()).toBeUndefined();
  });

  it('ends when the server closes, and the connection with it', async () => {
    await world[Symbol.asyncDispose]();
    // Longer than any test may last.
    world = await ApiWorld.start({ shutdownGraceMs: 600_000 });
    const events = await watch('');
    const ended = events.next();
    const closed = once(events.response.socket, 'close');
    await world.server.close();
    expect(await ended).toBeUndefined();
    await closed;
  });

  it('of a client that stops reading is dropped, and the server holds no more than its socket does', async () => {
    const stalling = await ApiWorld.start({ watchStallMs: 100 });
    const big = 'x'.repeat(200 * 1024);
    const count = 150;
    const socket = await stalling.connect();
    const path = '/api/v1/namespaces/default/pods?watch=true';
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${testTokens.admin}\r\n\r\n`);
    await once(socket, 'readable');
    const dropped = new Promise<RequestRecord>((resolve) => {
      const listen = (message: unknown): void => {
        unsubscribe(REQUEST_CHANNEL, listen);
        resolve(message as RequestRecord);
      };
      subscribe(REQUEST_CHANNEL, listen);
    });
    for (let n = 0; n < count; n += 1) {
      const { metadata, ...rest } = pod(`p${n}`);
      await stalling.server.registry.create(pods, { ...rest, metadata: { ...metadata, annotations: { big } } });
    }
    expect(await dropped).toMatchObject({ uri: path });
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    await once(socket, 'close');
    expect(bytes).toBeLessThan(count * big.length);
    await stalling[Symbol.asyncDispose]();
  });
});
