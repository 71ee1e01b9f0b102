import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { RawWebSocket, rawFrame } from '../../../test/support/raw-websocket.ts';
import { clientAgainstRaw, serverAgainstRaw, serverSession, tcpPair } from '../../../test/support/websocket-pair.ts';

const MIB = 1024 * 1024;
const status = '{"metadata":{},"status":"Success"}';

describe('the gotchas of wire.md, section 8: endings', () => {
  it('gotcha 50: a server ends with an explicit 1000', async () => {
    const { session, peer } = serverAgainstRaw();
    session.channel(3).write(status);
    const closed = session.close();
    expect((await peer.next()).payload.toString()).toBe(`\x03${status}`);
    expect(await peer.next()).toMatchObject({ opcode: 8, payload: Buffer.of(0x03, 0xe8) });
    peer.sendClose(1000);
    await closed;
  });

  it.each([1005, 1006])('gotcha 50: %i after the Status is lost, and the Status can be read', async (code) => {
    const { session, peer } = clientAgainstRaw();
    peer.send(`\x03${status}`);
    if (code === 1005) peer.sendClose();
    else peer.socket.end();
    expect(await session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_CONNECTION_LOST' } });
    const chunks: Buffer[] = [];
    session.channel(3).on('data', (chunk: Buffer) => chunks.push(chunk));
    await new Promise((resolve) => session.channel(3).on('close', resolve));
    expect(Buffer.concat(chunks).toString()).toBe(status);
  });

  it('gotcha 51: PINGs of a client that reads late do not cost it the tail', async () => {
    const [near, far] = await tcpPair();
    const session = serverSession(far, { closeLingerMs: 100 });
    near.pause();
    session.channel(1).write(Buffer.alloc(2 * MIB, 'x'));
    const closed = session.close();
    for (let beat = 0; beat < 20; beat += 1) {
      near.write(rawFrame(0x89, '', Buffer.alloc(4)));
      await delay(20);
    }
    const peer = new RawWebSocket(near, 'client');
    near.resume();
    const close = await peer.nextOf(8);
    expect(close.payload.readUInt16BE(0)).toBe(1000);
    expect(peer.frames.reduce((sum, { opcode, payload }) => sum + (opcode === 2 ? payload.length - 1 : 0), 0)).toBe(
      2 * MIB,
    );
    peer.sendClose(1000);
    await closed;
    expect(await session.closed).toEqual({ kind: 'clean', by: 'local' });
    near.destroy();
  });

  it('gotcha 78: a client that vanishes is noticed although stdin is blocked and not read', async () => {
    const [near, far] = await tcpPair();
    const session = serverSession(far, { heartbeatIntervalMs: 20, readAheadBytes: 0 });
    near.on('error', () => {});
    const frame = rawFrame(0x82, Buffer.alloc(32 * 1024), Buffer.alloc(4));
    for (let i = 0; i < 32; i += 1) near.write(frame);
    await new Promise((resolve) => near.write(frame, resolve));
    near.destroy();
    expect(await session.closed).toMatchObject({ kind: 'lost', error: { code: 'ERR_CONNECTION_LOST' } });
  });
});
