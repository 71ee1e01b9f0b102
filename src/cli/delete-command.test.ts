import { PassThrough, Readable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { answeringApi, json } from '../../test/support/answering-api.ts';
import { Loopback } from '../../test/support/loopback.ts';
import { MemoryIo } from '../../test/support/memory-io.ts';
import { runCli } from './run-cli.ts';

const loopback = new Loopback();
afterEach(() => loopback.close());

it.each([
  [[], { propagationPolicy: 'Background' }],
  [['--now'], { propagationPolicy: 'Background', gracePeriodSeconds: 1 }],
  [['--force'], { propagationPolicy: 'Background', gracePeriodSeconds: 0 }],
  [['--grace-period=7'], { propagationPolicy: 'Background', gracePeriodSeconds: 7 }],
  // Only --force takes an object away before its containers have ended.
  [['--grace-period=0'], { propagationPolicy: 'Background', gracePeriodSeconds: 1 }],
  [['--grace-period=0', '--force'], { propagationPolicy: 'Background', gracePeriodSeconds: 0 }],
  [['--cascade'], { propagationPolicy: 'Background' }],
  [['--cascade=foreground'], { propagationPolicy: 'Foreground' }],
  [['--cascade=orphan'], { propagationPolicy: 'Orphan' }],
])('podwire delete with %j asks for %j', async (flags, wanted) => {
  const { port, asked } = await answeringApi(loopback, [
    json({ kind: 'Pod', apiVersion: 'v1', metadata: { name: 'web', namespace: 'default', uid: 'u' } }),
  ]);
  const io = new MemoryIo(Readable.from([]));
  const line = ['delete', '--server', `http://127.0.0.1:${port}`, 'pod', 'web', '--wait=false', ...flags];
  expect(await runCli(line, io), io.err.text).toBe(0);
  const bodies = asked.filter(({ method }) => method === 'DELETE').map(({ body }) => JSON.parse(body) as object);
  expect(bodies).toEqual([{ kind: 'DeleteOptions', apiVersion: 'v1', ...wanted }]);
});

it.each([
  [['--now', '--grace-period=3'], 'error: --now and --grace-period cannot be specified together\n'],
  [['--force', '--grace-period=3'], 'error: --force and --grace-period greater than 0 cannot be specified together\n'],
])('podwire delete refuses %j', async (flags, text) => {
  const io = new MemoryIo(Readable.from([]));
  expect(await runCli(['delete', 'pod', 'web', ...flags], io)).toBe(1);
  expect(io.err.text).toContain(text);
});

it('takes it well that what a selector found is gone before its turn', async () => {
  const list = {
    kind: 'PodList',
    apiVersion: 'v1',
    metadata: {},
    items: [{ metadata: { name: 'a', namespace: 'b' } }],
  };
  const gone = { kind: 'Status', status: 'Failure', reason: 'NotFound', message: 'pods "a" not found', code: 404 };
  for (const [flags, code] of [
    [['--all'], 0],
    [['-l', 'a=b'], 0],
    [['--all', '--ignore-not-found=false'], 1],
  ] as const) {
    const { port } = await answeringApi(loopback, [json(list), json(gone, 404)]);
    const io = new MemoryIo(Readable.from([]));
    expect(await runCli(['delete', '--server', `http://127.0.0.1:${port}`, 'pods', ...flags], io)).toBe(code);
  }
});

describe('podwire delete -i', () => {
  const web = json({ kind: 'Pod', apiVersion: 'v1', metadata: { name: 'web', namespace: 'default', uid: 'u' } });
  const question = 'You are about to delete the following 1 resource(s):\npod/web\nDo you want to continue? (y/n): ';

  it.each([
    [['y\n'], true],
    [['\n', ' ', 'Y\nmore'], true],
    [['y'], true],
    [['yes\n'], false],
    [['n\n'], false],
    [[], false],
    [['x'.repeat(5000)], false],
  ])('asks first: %j', async (typed, isDeleted) => {
    const { port, asked } = await answeringApi(loopback, [web]);
    const io = new MemoryIo(Readable.from(typed));
    const line = ['delete', '--server', `http://127.0.0.1:${port}`, 'pod', 'web', '-i', '--wait=false'];
    expect(await runCli(line, io)).toBe(0);
    expect(io.out.text).toBe(`${question}${isDeleted ? 'pod "web" deleted\n' : 'deletion is cancelled\n'}`);
    expect(asked.some(({ method }) => method === 'DELETE')).toBe(isDeleted);
  });

  it('deletes nothing when a signal is the answer', async () => {
    const { port, asked } = await answeringApi(loopback, [web]);
    const io = new MemoryIo(new PassThrough());
    const code = runCli(['delete', '--server', `http://127.0.0.1:${port}`, 'pod', 'web', '-i'], io);
    await expect.poll(() => io.out.text).toBe(question);
    io.signal('SIGINT');
    expect(await code).toBe(130);
    expect(asked).toEqual([]);
  });
});
