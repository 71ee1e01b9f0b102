import { describe, expect, it } from 'vitest';
import {
  type ChannelMessageOptions,
  ChannelMessageReader,
  channelMessage,
  maxPayloadBytes,
} from './channel-message.ts';
import { type DataPiece, opcodes } from './frame.ts';

const v5Server: ChannelMessageOptions = { role: 'server', base64: false, closeChannel: true, channelCount: 5 };

/** Reads messages, each as a list of its pieces. */
function read(options: Partial<ChannelMessageOptions>, ...messages: (string | Buffer)[][]): string[] {
  const reader = new ChannelMessageReader({ ...v5Server, ...options });
  const opcode = options.base64 === true ? opcodes.text : opcodes.binary;
  return messages.flatMap((pieces) =>
    pieces.flatMap((bytes, index) => {
      const piece: DataPiece = {
        kind: 'data',
        opcode,
        bytes: Buffer.from(bytes),
        first: index === 0,
        last: index === pieces.length - 1,
      };
      const event = reader.read(piece);
      if (event === undefined) return [];
      return [
        event.kind === 'data' ? `${event.channel}:${Buffer.from(event.bytes).toString()}` : `close ${event.channel}`,
      ];
    }),
  );
}

describe('ChannelMessageReader', () => {
  it('splits the channel from the payload, wherever the message is cut', () => {
    expect(read({}, ['\x00hi'], ['\x04{}'])).toEqual(['0:hi', '4:{}']);
    expect(read({}, ['', '\x00', '', 'h', 'i'])).toEqual(['0:h', '0:i']);
  });

  it('gives nothing for an empty message or an empty payload', () => {
    expect(read({}, [''], ['\x01'], ['', ''], ['\x00x'])).toEqual(['0:x']);
  });

  it('reads CLOSE in v5, wherever it is cut', () => {
    const close = Buffer.of(255, 0);
    expect(read({}, [close], ['', Buffer.of(255), '', Buffer.of(4)])).toEqual(['close 0', 'close 4']);
  });

  it('takes 255 for a channel below v5, and as a client', () => {
    expect(read({ closeChannel: false }, [Buffer.of(255, 65)])).toEqual(['255:A']);
    expect(read({ role: 'client' }, [Buffer.of(255, 65)])).toEqual(['255:A']);
  });

  it.each([
    [[255], '[255]'],
    [[255, 5], '[255 5]'],
    [[255, 255], '[255 255]'],
    [[255, 0, 0], '[255 0 0 …]'],
  ])('refuses the CLOSE %j', (bytes, quoted) => {
    expect(() => read({}, [Buffer.from(bytes)])).toThrow(
      expect.objectContaining({ code: 'ERR_CHANNEL', message: expect.stringContaining(quoted) }),
    );
  });

  it('refuses a long CLOSE at its third byte, not at its end', () => {
    const reader = new ChannelMessageReader(v5Server);
    const bytes = Buffer.of(255, 0, 0);
    expect(() => reader.read({ kind: 'data', opcode: 2, bytes, first: true, last: false })).toThrow(/CLOSE/);
  });

  it('decodes base64 behind the digit of the channel', () => {
    expect(read({ base64: true }, ['0Zm9vCg=='], ['4', 'e', '30='], [':aGk='])).toEqual(['0:foo\n', '4:{}', '10:hi']);
  });

  it('ignores bad base64 and goes on with the next message', () => {
    expect(read({ base64: true }, ['0Zm9v!!'], ['0Zm9', 'v', '*', 'Zm9v'], ['0aGk='])).toEqual(['0:foo', '0:hi']);
  });

  it('does not look at the opcode as a server', () => {
    const reader = new ChannelMessageReader(v5Server);
    const bytes = Buffer.from('\0hi');
    expect(reader.read({ kind: 'data', opcode: opcodes.text, bytes, first: true, last: true })).toBeDefined();
  });

  it('refuses the wrong opcode as a client', () => {
    const client = new ChannelMessageReader({ ...v5Server, role: 'client' });
    const bytes = Buffer.from('\x01hi');
    expect(() => client.read({ kind: 'data', opcode: opcodes.text, bytes, first: true, last: true })).toThrow(
      expect.objectContaining({ code: 'ERR_CHANNEL', message: expect.stringContaining('text message') }),
    );
  });
});

describe('channelMessage', () => {
  it('writes the vectors of wire.md, appendix A', () => {
    const base64 = { base64: true };
    expect(channelMessage(0, Buffer.from('foo\n'), base64)).toMatchObject({ opcode: 1, prefix: 0x30 });
    expect(channelMessage(0, Buffer.from('foo\n'), base64).payload.toString()).toBe('Zm9vCg==');
    expect(channelMessage(1, new Uint8Array(0), base64).payload).toHaveLength(0);
    expect(channelMessage(0, Buffer.of(0x90, 0x1f), base64).payload.toString()).toBe('kB8=');
    expect(channelMessage(0, Buffer.of(0x90, 0x1f), { base64: false })).toMatchObject({ opcode: 2, prefix: 0 });
  });

  it('never makes a message longer than 32 KiB and the channel', () => {
    for (const options of [{ base64: true }, { base64: false }]) {
      const { payload } = channelMessage(1, Buffer.alloc(maxPayloadBytes(options)), options);
      expect(payload).toHaveLength(32 * 1024);
    }
  });
});
