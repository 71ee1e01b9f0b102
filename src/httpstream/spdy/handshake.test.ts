import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { duplexPair } from '../../../test/support/duplex-pair.ts';
import { readAll } from '../../../test/support/read-all.ts';
import { UpgradeServer } from '../../../test/support/websocket-pair.ts';
import { spdyAccept, spdyOffer } from '../../common/subprotocols.ts';
import { type AcceptedSpdy, acceptSpdy, dialSpdy } from './handshake.ts';

/** A server that accepts SPDY exec, and what it accepted. */
async function execServer(): Promise<UpgradeServer & { accepted: AcceptedSpdy[] }> {
  const accepted: AcceptedSpdy[] = [];
  const server = await UpgradeServer.listen((request, socket, head) => {
    const one = acceptSpdy(request, socket, head, spdyAccept, {
      onStream: (incoming) => {
        const stream = incoming.accept();
        stream.pipe(stream);
      },
    });
    if (one !== undefined) accepted.push(one);
  });
  return Object.assign(server, { accepted });
}

async function rawAnswer(server: UpgradeServer, lines: string[]): Promise<string> {
  const socket = await server.connect();
  socket.write(`${['POST /exec HTTP/1.1', 'Host: x', ...lines].join('\r\n')}\r\n\r\n`);
  const answer = (await readAll(socket)).toString();
  socket.end();
  return answer;
}

const upgrade = ['Connection: Upgrade', 'Upgrade: SPDY/3.1'];

describe('the SPDY handshake', () => {
  it('agrees on the client’s first protocol that the server knows, and carries streams', async () => {
    await using server = await execServer();
    const { session, protocol } = await dialSpdy(await server.connect(), {
      path: '/exec',
      headers: [['Host', 'x']],
      protocols: spdyOffer,
    });
    expect([protocol, server.accepted[0]?.protocol]).toEqual(['v4.channel.k8s.io', 'v4.channel.k8s.io']);
    const stream = await session.openStream({ streamtype: 'stdin' });
    stream.end('through');
    expect((await readAll(stream)).toString()).toBe('through');
    await session.close();
    expect(await server.accepted[0]?.session.closed).toEqual({ kind: 'clean', by: 'remote' });
  });

  it('gotcha 68: takes one line with commas for several lines', async () => {
    await using server = await execServer();
    const socket = await server.connect();
    const lines = [
      ...upgrade,
      'X-Stream-Protocol-Version: v5.channel.k8s.io, , v3.channel.k8s.io',
      'X-Stream-Protocol-Version: v4.channel.k8s.io',
    ];
    socket.write(`${['POST /exec HTTP/1.1', 'Host: x', ...lines].join('\r\n')}\r\n\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v3.channel.k8s.io\r\n\r\n',
    );
    socket.destroy();
  });

  it('sends what client-go sends', async () => {
    const [client, server] = duplexPair();
    const dialing = dialSpdy(client, { path: '/x', headers: [['Host', 'h']], protocols: ['a', 'b'] });
    const [text] = (await once(server, 'data')) as [Buffer];
    expect(text.toString().split('\r\n')).toEqual([
      'POST /x HTTP/1.1',
      'Host: h',
      'Content-Length: 0',
      'Connection: Upgrade',
      'Upgrade: SPDY/3.1',
      'X-Stream-Protocol-Version: a',
      'X-Stream-Protocol-Version: b',
      '',
      '',
    ]);
    server.write('HTTP/1.1 101 X\r\nconnection: keep-alive, upgrade\r\nupgrade: spdy/3.1\r\n\r\n');
    const { session, protocol } = await dialing;
    expect(protocol).toBe('');
    session.destroy();
  });

  it('gotcha 4: the client writes no frame before the 101', async () => {
    const [client, server] = duplexPair();
    const dialing = dialSpdy(client, { path: '/x', headers: [], protocols: ['a'], session: { pingIntervalMs: 1 } });
    const pieces: Buffer[] = [];
    server.on('data', (piece: Buffer) => pieces.push(piece));
    await once(server, 'data');
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(Buffer.concat(pieces).toString()).toMatch(/^POST [^]*\r\n\r\n$/);
    server.write('HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n');
    const { session } = await dialing;
    await once(server, 'data');
    expect(pieces.at(-1)?.readUInt16BE(0)).toBe(0x8003);
    session.destroy();
  });

  it('gotcha 5: the client answers a PING that came in one piece with the 101', async () => {
    const [client, server] = duplexPair();
    const dialing = dialSpdy(client, { path: '/x', headers: [], protocols: ['a'] });
    await once(server, 'data');
    const ping = Buffer.from('800300060000000400000002', 'hex');
    server.write(
      Buffer.concat([Buffer.from('HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n'), ping]),
    );
    const { session } = await dialing;
    expect(await once(server, 'data')).toEqual([ping]);
    session.destroy();
  });

  it('the client refuses a 101 to something else, and a protocol that it did not offer', async () => {
    const answers: [string, object][] = [
      ['Connection: Upgrade\r\nUpgrade: websocket', { code: 'ERR_UPGRADE_REFUSED' }],
      ['Upgrade: SPDY/3.1', { code: 'ERR_UPGRADE_REFUSED' }],
      [
        'Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: z',
        {
          code: 'ERR_NO_COMMON_PROTOCOL',
          message: expect.stringContaining('client supports [a b], server returned "z"'),
        },
      ],
    ];
    for (const [lines, error] of answers) {
      const [client, server] = duplexPair();
      const dialing = dialSpdy(client, { path: '/x', headers: [], protocols: ['a', 'b'] });
      await once(server, 'data');
      server.write(`HTTP/1.1 101 X\r\n${lines}\r\n\r\n`);
      await expect(dialing).rejects.toMatchObject(error);
      expect(client.destroyed).toBe(true);
    }
  });

  it.each([
    ['no header', []],
    ['an empty header', ['X-Stream-Protocol-Version: ']],
    ['only separators', ['X-Stream-Protocol-Version: , ,']],
  ])('the server refuses %s with 400', async (_what, lines) => {
    await using server = await execServer();
    const answer = await rawAnswer(server, [...upgrade, ...lines]);
    expect(answer).toMatch(
      /^HTTP\/1\.1 400 Bad Request\r\nContent-Type: text\/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n/,
    );
    expect(answer).toMatch(/\r\n\r\nunable to upgrade: X-Stream-Protocol-Version is required\n$/);
  });

  it('gotcha 59: the server refuses foreign protocols with 403 and names its own', async () => {
    await using server = await execServer();
    const answer = await rawAnswer(server, [
      ...upgrade,
      'X-Stream-Protocol-Version: v9',
      'X-Stream-Protocol-Version: v8',
    ]);
    expect(answer).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    expect(answer.match(/X-Accepted-Stream-Protocol-Versions: \S+/g)).toEqual(
      spdyAccept.map((name) => `X-Accepted-Stream-Protocol-Versions: ${name}`),
    );
    expect(answer).toContain(
      `unable to upgrade: unable to negotiate protocol: client supports [v9 v8], server accepts [${spdyAccept.join(' ')}]\n`,
    );
  });

  it('the server refuses an upgrade to something else with 400, after the protocols were found in order', async () => {
    await using server = await execServer();
    const answer = await rawAnswer(server, [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'X-Stream-Protocol-Version: v4.channel.k8s.io',
    ]);
    expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*\r\n\r\nunable to upgrade: missing upgrade headers in request: /);
    const both = await rawAnswer(server, [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'X-Stream-Protocol-Version: v9',
    ]);
    expect(both).toMatch(/^HTTP\/1\.1 403 /);
  });

  it.each([['Transfer-Encoding: chunked'], ['Content-Length: 5']])(
    'gotcha 6: the server refuses a body cleanly: %s',
    async (line) => {
      await using server = await execServer();
      const answer = await rawAnswer(server, [...upgrade, 'X-Stream-Protocol-Version: v4.channel.k8s.io', line]);
      expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*must not have a body\n$/);
    },
  );
});
