import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { duplexPair } from '../../test/support/duplex-pair.ts';
import { readAll } from '../../test/support/read-all.ts';
import { UpgradeError } from '../common/errors.ts';
import { HttpAnswerParser, MAX_ANSWER_BODY_BYTES, MAX_ANSWER_HEAD_BYTES } from './http-answer.ts';
import { answerUpgrade, refuseUpgrade, requestUpgrade, type UpgradeOptions } from './upgrade.ts';

const request = { method: 'POST', path: '/exec/a?x=1', headers: [['Host', 'node']] } as const;

/** Sends the request on a pair and gives the server's end once the request has come. */
async function asked(options: UpgradeOptions = {}): Promise<{
  answer: Promise<Awaited<ReturnType<typeof requestUpgrade>>>;
  client: Duplex;
  server: Duplex;
  text: string;
}> {
  const [client, server] = duplexPair();
  const answer = requestUpgrade(client, request, options);
  answer.catch(() => undefined);
  const [bytes] = (await once(server, 'data')) as [Buffer];
  return { answer, client, server, text: bytes.toString() };
}

async function refused(answer: Promise<unknown>): Promise<UpgradeError> {
  const error: unknown = await answer.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UpgradeError);
  return error as UpgradeError;
}

const status = JSON.stringify({ kind: 'Status', message: 'pods "p" not found', code: 404 });

describe('asking for an upgrade', () => {
  it('writes the request as it stands and nothing behind it', async () => {
    const { text } = await asked();
    expect(text).toBe('POST /exec/a?x=1 HTTP/1.1\r\nHost: node\r\n\r\n');
  });

  it('gives the headers with their case and repetition, and the bytes behind them', async () => {
    const { answer, client, server } = await asked();
    server.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nX-A: 1\r\nx-a:  2 \r\n\r\nhead');
    expect(await answer).toEqual({
      status: 101,
      headers: [
        ['Upgrade', 'SPDY/3.1'],
        ['X-A', '1'],
        ['x-a', '2'],
      ],
      head: Buffer.from('head'),
    });
    server.end(' and tail');
    expect((await readAll(client.resume())).toString()).toBe(' and tail');
  });

  it('gotcha 4: waits for the 101 however it is cut, and skips interim answers', async () => {
    const { answer, server } = await asked();
    const text = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 101 OK\nUpgrade: x\n\n!';
    for (const char of text) server.write(char);
    const { headers } = await answer;
    expect(headers).toEqual([['Upgrade', 'x']]);
  });

  it.each([
    ['a Status', `HTTP/1.1 404 Not Found\r\nContent-Length: ${status.length}\r\n\r\n${status}`, 'pods "p" not found'],
    [
      'a chunked Status',
      `HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n${status.length.toString(16)};x=y\r\n${status}\r\n0\r\n\r\n`,
      'pods "p" not found',
    ],
    ['text', 'HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\n404 page not found\n', '404 page not found'],
    ['text up to the end', 'HTTP/1.0 404\r\n\r\nnot here', 'not here'],
    ['JSON with a field error', 'HTTP/1.1 404 X\r\n\r\n{"error":"nope"}', 'nope'],
    ['nothing', 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n', 'empty server response'],
  ])('fails on any other answer, with its message: %s', async (_what, answerText, message) => {
    const { answer, client, server } = await asked();
    server.end(answerText);
    const error = await refused(answer);
    expect(error).toMatchObject({
      code: 'ERR_UPGRADE_REFUSED',
      httpStatus: 404,
      message: `unable to upgrade connection: ${message}`,
    });
    expect(client.destroyed).toBe(true);
  });

  it('gotcha 64: carries the status, the headers and the body of a refusal', async () => {
    const { answer, server } = await asked();
    const body = JSON.stringify({ message: 'x'.repeat(5000) });
    server.write(
      `HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    expect(await refused(answer)).toMatchObject({
      httpStatus: 403,
      body,
      headers: [
        ['Content-Type', 'application/json'],
        ['Content-Length', String(body.length)],
      ],
    });
  });

  it.each([
    ['a length', 'Content-Length: 100000000', ''],
    ['chunks', 'Transfer-Encoding: chunked', 'ffffff\r\n'],
    ['neither', 'X: y', ''],
  ])('reads a body of 64 KiB at most, with %s', async (_what, header, prefix) => {
    const { answer, server } = await asked();
    server.write(`HTTP/1.1 500 X\r\n${header}\r\n\r\n${prefix}`);
    server.write(Buffer.alloc(MAX_ANSWER_BODY_BYTES * 4, 'x'));
    expect((await refused(answer)).body.length).toBe(MAX_ANSWER_BODY_BYTES);
  });

  it.each([
    ['not HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', /status line "SSH-2.0-OpenSSH"/],
    ['a header without a colon', 'HTTP/1.1 101 X\r\nbroken\r\n\r\n', /header line "broken"/],
    ['a head without an end', 'HTTP/1.1 101 X\r\n'.padEnd(MAX_ANSWER_HEAD_BYTES + 1, 'x'), /more than 65536 bytes/],
    ['a chunk without a size', 'HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', /size "zz"/],
  ])('fails on %s', async (_what, text, message) => {
    const { answer, client, server } = await asked();
    server.write(text);
    const error = await refused(answer);
    expect(error).toMatchObject({ code: 'ERR_UPGRADE_REFUSED', httpStatus: 0 });
    expect(error.message).toMatch(message);
    expect(client.destroyed).toBe(true);
  });

  it('fails with ERR_CONNECTION_LOST when the connection ends first', async () => {
    const { answer, server } = await asked();
    server.end('HTTP/1.1 101');
    expect(await refused(answer)).toMatchObject({ code: 'ERR_CONNECTION_LOST', httpStatus: 0 });
    const [dead] = duplexPair();
    dead.destroy();
    await expect(requestUpgrade(dead, request)).rejects.toMatchObject({ code: 'ERR_CONNECTION_LOST' });
  });

  it('fails with ERR_DIAL_TIMEOUT when no answer comes, even where bytes trickle', async () => {
    const { answer, server } = await asked({ timeoutMs: 40 });
    const trickle = setInterval(() => server.write('H'), 5);
    expect(await refused(answer)).toMatchObject({ code: 'ERR_DIAL_TIMEOUT', httpStatus: 0 });
    clearInterval(trickle);
  });

  it('fails with ERR_ABORTED by its signal', async () => {
    const caller = new AbortController();
    const { answer, client } = await asked({ signal: caller.signal });
    caller.abort();
    await expect(answer).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    expect(client.destroyed).toBe(true);
    await expect(requestUpgrade(duplexPair()[0], request, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_ABORTED',
    });
  });

  it.each([
    ['a path with a line break', { ...request, path: '/a\r\nX: y' }],
    ['a path with a space', { ...request, path: '/a b' }],
    ['a header value with a line break', { ...request, headers: [['A', 'b\r\nC: d']] as const }],
    ['a header name with a colon', { ...request, headers: [['A: b', 'c']] as const }],
  ])('refuses to write %s', async (_what, bad) => {
    const [client, server] = duplexPair();
    await expect(requestUpgrade(client, bad)).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST' });
    expect((await readAll(server).catch(() => Buffer.alloc(0))).length).toBe(0);
  });

  it('reads the same answer from any pieces', () => {
    const text = `HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n5\r\nhello\r\n6;q\r\n world\r\n0\r\n\r\n`;
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 })), (cuts) => {
        const parser = new HttpAnswerParser();
        let at = 0;
        for (const cut of [...cuts, text.length]) {
          const answer = parser.push(Buffer.from(text.slice(at, at + cut)));
          at += cut;
          if (answer !== undefined) {
            expect(answer).toMatchObject({ status: 500, body: 'hello world' });
            return;
          }
        }
        expect.unreachable();
      }),
      { numRuns: 100 },
    );
  });

  it('raises nothing but UpgradeError, whatever the answer', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'HTTP/1.1 ',
        '101 OK',
        '500 X',
        '\r\n',
        '\n',
        'A: b',
        'Transfer-Encoding: chunked',
        'Content-Length: 5',
        '5',
        ';',
      ),
      fc.string({ maxLength: 10 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const parser = new HttpAnswerParser();
        try {
          for (const one of pieces) if (parser.push(Buffer.from(one)) !== undefined) break;
          parser.end();
        } catch (error) {
          expect(error).toBeInstanceOf(UpgradeError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('answering an upgrade', () => {
  it('writes 101 and the headers in order', async () => {
    const [client, server] = duplexPair();
    answerUpgrade(server, [
      ['Connection', 'Upgrade'],
      ['X-Stream-Protocol-Version', 'v4.channel.k8s.io'],
    ]);
    server.end();
    expect((await readAll(client)).toString()).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n',
    );
  });

  it('refuses with text as Go does, and closes once the client has read it', async () => {
    const [client, server] = duplexPair();
    refuseUpgrade(server, 400, 'unable to upgrade: no', [['X-More', 'a']]);
    expect((await readAll(client)).toString()).toBe(
      'HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nX-More: a\r\n' +
        'Content-Length: 22\r\nConnection: close\r\n\r\nunable to upgrade: no\n',
    );
    expect(server.destroyed).toBe(false);
    client.end('more requests are not read');
    await once(server, 'close');
  });

  it('refuses with a Status, which the asking side turns back into its message', async () => {
    const { answer, server } = await asked();
    refuseUpgrade(server, 403, {
      kind: 'Status',
      status: 'Failure',
      message: 'not you',
      reason: 'Forbidden',
      code: 403,
    });
    const error = await refused(answer);
    expect(error).toMatchObject({ httpStatus: 403, message: 'unable to upgrade connection: not you' });
    expect(JSON.parse(error.body)).toMatchObject({ reason: 'Forbidden' });
    expect(error.headers).toContainEqual(['Content-Type', 'application/json']);
  });
});
