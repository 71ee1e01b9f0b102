import { describe, expect, it } from 'vitest';
import { readAll } from '../../../test/support/read-all.ts';
import { hexFixture, sessionAgainstRaw } from '../../../test/support/spdy-pair.ts';

/** What Go peers sent, in one piece and byte by byte: Go writes frames field by field, so peers see any cut. */
const cuts: [string, (bytes: Buffer) => Buffer[]][] = [
  ['gotcha 2: in one buffer', (bytes) => [bytes]],
  ['gotcha 1: one byte at a time', (bytes) => [...bytes].map((byte) => Buffer.of(byte))],
];

describe.each(cuts)('bytes recorded from spdystream, %s', (_how, cut) => {
  it('make the server reject one stream and echo the other', async () => {
    await using raw = sessionAgainstRaw({
      role: 'server',
      onStream: (incoming) => {
        if (incoming.headers.get('mode') === 'reject') incoming.reject();
        else {
          const stream = incoming.accept();
          stream.pipe(stream);
        }
      },
    });
    for (const piece of cut(Buffer.concat(hexFixture('spdystream-client.hex')))) raw.peer.socket.write(piece);
    expect((await raw.peer.dataOf(3, (_bytes, fin) => fin)).toString()).toBe('still alive');
    expect(raw.peer.frames[0]).toEqual({ type: 'RST_STREAM', streamId: 1, status: 5 });
    expect(raw.session.streamCount).toBe(0);
  });

  it('give the client its echo, its ping and the end of a stream that was reset', async () => {
    await using raw = sessionAgainstRaw({ role: 'client' });
    const opening = Promise.all([raw.session.openStream({ mode: 'echo' }), raw.session.openStream({ mode: 'reset' })]);
    const trip = raw.session.ping();
    await raw.peer.frame('PING');
    for (const piece of cut(Buffer.concat(hexFixture('spdystream-server.hex')))) raw.peer.socket.write(piece);
    const [echo, reset] = await opening;
    const texts = await Promise.all([readAll(echo), readAll(reset)]);
    expect(texts.map(String)).toEqual(['hi\n', 'before the reset']);
    expect([echo.resetByPeer, reset.resetByPeer]).toEqual([false, true]);
    expect(await trip).toBeGreaterThanOrEqual(0);
  });
});
