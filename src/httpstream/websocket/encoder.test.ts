import { describe, expect, it } from 'vitest';
import { closePayload, FrameEncoder } from './encoder.ts';
import { opcodes } from './frame.ts';
import { applyMask } from './mask.ts';

const server = new FrameEncoder({ masked: false });
const client = new FrameEncoder({ masked: true });

const headerOf = (bytes: number): string =>
  Buffer.concat(server.encode(opcodes.binary, Buffer.alloc(bytes)))
    .subarray(0, 10)
    .toString('hex');

describe('FrameEncoder', () => {
  it('writes the unmasked text "Hello" of RFC 6455, section 5.7', () => {
    expect(Buffer.concat(server.encode(opcodes.text, Buffer.from('Hello'))).toString('hex')).toBe('810548656c6c6f');
  });

  it('uses the shortest form of a length', () => {
    expect(headerOf(125)).toMatch(/^827d00/);
    expect(headerOf(126)).toMatch(/^827e007e00/);
    expect(headerOf(65_535)).toMatch(/^827effff00/);
    expect(headerOf(65_536)).toMatch(/^827f0000000000010000/);
  });

  it('puts the prefix in front of the payload and counts it', () => {
    expect(Buffer.concat(server.encode(opcodes.binary, Buffer.from('hi'), 1)).toString('hex')).toBe('8203016869');
    const [header, payload] = server.encode(opcodes.binary, Buffer.alloc(32_768), 2);
    expect(Buffer.from(header).toString('hex')).toBe('827e800102');
    expect(payload).toHaveLength(32_768);
  });

  it("hands a server's large payload on without a copy, and a client's only as a copy", () => {
    const payload = Buffer.alloc(4096, 'x');
    expect(server.encode(opcodes.binary, payload)[1]).toBe(payload);
    expect(client.encode(opcodes.binary, payload)).toHaveLength(1);
    expect(payload.every((byte) => byte === 0x78)).toBe(true);
  });

  it('masks each frame of a client with another key', () => {
    const keys = new Set<string>();
    for (let i = 0; i < 5000; i += 1) {
      const frame = Buffer.concat(client.encode(opcodes.binary, Buffer.from('hi'), 0));
      expect(frame.subarray(0, 2).toString('hex')).toBe('8283');
      const key = frame.subarray(2, 6);
      keys.add(key.toString('hex'));
      const payload = frame.subarray(6);
      applyMask(payload, key, 0);
      expect(payload.toString('latin1')).toBe('\0hi');
    }
    expect(keys.size).toBeGreaterThan(4990);
  });
});

describe('closePayload', () => {
  it('is the code in network order and the reason', () => {
    expect(Buffer.from(closePayload(1000)).toString('hex')).toBe('03e8');
    expect(Buffer.from(closePayload(1002, 'no')).toString('hex')).toBe('03ea6e6f');
  });

  it('cuts a long reason between characters', () => {
    const payload = closePayload(1001, `${'a'.repeat(122)}é and more`);
    expect(payload).toHaveLength(124);
    expect(closePayload(1001, `${'a'.repeat(121)}é and more`)).toHaveLength(125);
    expect(new TextDecoder('utf-8', { fatal: true }).decode(payload.subarray(2))).toBe('a'.repeat(122));
  });
});
