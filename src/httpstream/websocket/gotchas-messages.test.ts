import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAll } from '../../../test/support/read-all.ts';
import { clientAgainstRaw, SessionPair, serverAgainstRaw } from '../../../test/support/websocket-pair.ts';
import { subprotocols } from '../../common/subprotocols.ts';

const MIB = 1024 * 1024;
const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('the gotchas of wire.md, section 8: messages', () => {
  it('gotcha 40: stdin EOF over v5 leaves the output open', async () => {
    await using pair = new SessionPair();
    const cat = pipeline(pair.server.channel(0), pair.server.channel(1));
    const output = readAll(pair.client.channel(1));
    pair.client.channel(0).end('hi\n');
    await cat;
    await pair.server.close();
    expect((await output).toString()).toBe('hi\n');
  });

  it('gotcha 41: in v4 [255, 0] is ignored, stdin goes on', async () => {
    const { session, peer } = serverAgainstRaw({ protocol: subprotocols.v4 });
    peer.send(Buffer.of(255, 0));
    peer.send('\0still typing');
    const [chunk] = (await once(session.channel(0), 'data')) as [Buffer];
    expect(chunk.toString()).toBe('still typing');
    expect(session.channel(0).readableEnded).toBe(false);
    session.destroy();
  });

  it.each([[[255]], [[255, 0, 0]], [[255, 9]]])(
    'gotcha 42: the malformed CLOSE %j ends the connection',
    async (bytes) => {
      const { session, peer } = serverAgainstRaw();
      peer.send(Buffer.from(bytes));
      expect(await session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_CHANNEL' } });
      expect((await peer.nextOf(8)).payload.readUInt16BE(0)).toBe(1002);
      await peer.ended;
    },
  );

  it('gotcha 43: a second CLOSE and data after CLOSE are ignored', async () => {
    const { session, peer } = serverAgainstRaw();
    const stdin = readAll(session.channel(0));
    for (const message of ['\0all', '\xff\0', '\xff\0', '\0too late', '\x04{}']) {
      peer.send(Buffer.from(message, 'latin1'));
    }
    const [resize] = (await once(session.channel(4), 'data')) as [Buffer];
    expect(resize.toString()).toBe('{}');
    expect((await stdin).toString()).toBe('all');
    session.destroy();
  });

  it('gotcha 44: a message without a byte is ignored, by server and client', async () => {
    const { session, peer } = serverAgainstRaw();
    peer.send('');
    peer.send('\0x');
    expect(await once(session.channel(0), 'data')).toEqual([Buffer.from('x')]);
    session.destroy();
    const ours = clientAgainstRaw();
    ours.peer.send('');
    ours.peer.send('\x01y');
    expect(await once(ours.session.channel(1), 'data')).toEqual([Buffer.from('y')]);
    ours.session.destroy();
  });

  it('gotcha 45: no empty message and no text message is ever sent on a binary protocol', async () => {
    const step = fc.record({ channel: fc.constantFrom(1, 2, 3), bytes: fc.constantFrom(0, 0, 1, 2, 40_000) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        const { session, peer } = serverAgainstRaw();
        for (const { channel, bytes } of steps) session.channel(channel).write(Buffer.alloc(bytes, 'x'));
        const closed = session.close();
        await peer.nextOf(8);
        peer.sendClose(1000);
        await closed;
        const messages = peer.frames.slice(0, -1);
        expect(messages.every(({ opcode, payload, fin }) => opcode === 2 && payload.length >= 2 && fin)).toBe(true);
        const sent = messages.reduce((sum, { payload }) => sum + payload.length - 1, 0);
        expect(sent).toBe(steps.reduce((sum, { bytes }) => sum + bytes, 0));
      }),
      { numRuns: 30 },
    );
  });

  it('gotcha 46: the first, empty message is neither output nor EOF', async () => {
    const { session, peer } = clientAgainstRaw();
    const output = readAll(session.channel(1));
    peer.send('\x01');
    peer.send('\x01hi');
    peer.sendClose(1000);
    expect((await output).toString()).toBe('hi');
  });

  it('gotcha 47: 1 MiB of stdin leaves in unfragmented, masked frames of at most 32 KiB and the channel', async () => {
    const { session, peer } = clientAgainstRaw();
    const stdin = randomBytes(MIB);
    session.channel(0).end(stdin);
    const payloads: Buffer[] = [];
    for (let frame = await peer.next(); frame.payload[0] !== 255; frame = await peer.next()) {
      expect(frame).toMatchObject({ fin: true, opcode: 2, masked: true });
      expect(frame.payload.length).toBeLessThanOrEqual(32 * 1024 + 1);
      payloads.push(frame.payload.subarray(1));
    }
    expect(hash(Buffer.concat(payloads))).toBe(hash(stdin));
    session.destroy();
  });

  it('gotcha 48: a message in fragments of one byte, with PINGs between, is one message', async () => {
    for (const { session, peer, channel } of [
      { ...serverAgainstRaw(), channel: 0 },
      { ...clientAgainstRaw(), channel: 1 },
    ]) {
      const text = 'fragmented';
      const bytes = Buffer.from([channel, ...Buffer.from(text)]);
      bytes.forEach((byte, index) => {
        peer.send(Buffer.of(byte), (index === bytes.length - 1 ? 0x80 : 0) | (index === 0 ? 2 : 0));
        if (index < bytes.length - 1) peer.send(String(index), 0x89);
      });
      let got = '';
      for await (const chunk of session.channel(channel)) {
        got += String(chunk);
        if (got.length >= text.length) break;
      }
      expect(got).toBe(text);
      expect(peer.frames.filter(({ opcode }) => opcode === 10).map(({ payload }) => payload.toString())).toEqual(
        Array.from({ length: bytes.length - 1 }, (_, index) => String(index)),
      );
      session.destroy();
    }
  });

  it('gotcha 49: a message of 33 MiB ends the connection before any of it is stored', async () => {
    const { session, peer } = serverAgainstRaw();
    const head = Buffer.from('82ff0000000002100000aabbccdd', 'hex');
    peer.socket.write(head);
    expect(await session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_MESSAGE_TOO_LONG' } });
    expect((await peer.nextOf(8)).payload.readUInt16BE(0)).toBe(1009);
    expect(session.channel(0).heldBytes).toBe(0);
  });

  it.each(['v1', 'v1Base64', 'v4', 'v4Base64', 'v5'] as const)(
    'gotcha 56: %s carries every byte value',
    async (name) => {
      await using pair = new SessionPair({ protocol: subprotocols[name] });
      const bytes = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, index) => index)), randomBytes(MIB)]);
      const stdout = readAll(pair.client.channel(1));
      const stdin: Buffer[] = [];
      const allStdin = new Promise<void>((resolve) => {
        pair.server.channel(0).on('data', (chunk: Buffer) => {
          stdin.push(chunk);
          if (stdin.reduce((sum, { length }) => sum + length, 0) === bytes.length) resolve();
        });
      });
      pair.client.channel(0).write(bytes);
      pair.server.channel(1).end(bytes);
      await allStdin;
      await pair.server.close();
      expect(hash(Buffer.concat(stdin))).toBe(hash(bytes));
      expect(hash(await stdout)).toBe(hash(bytes));
    },
  );

  it('gotcha 60: base64 protocols are text both ways', async () => {
    const { session, peer } = serverAgainstRaw({ protocol: subprotocols.v4Base64 });
    session.greet(1);
    peer.send('0Zm9vCg==', 0x81);
    const [chunk] = (await once(session.channel(0), 'data')) as [Buffer];
    expect(chunk.toString()).toBe('foo\n');
    session.channel(1).write('\n');
    for (const text of ['1', '1Cg==']) {
      expect(await peer.next()).toMatchObject({ opcode: 1, payload: Buffer.from(text) });
    }
    session.destroy();
  });
});
