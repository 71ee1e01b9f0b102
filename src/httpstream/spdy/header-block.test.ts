import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeHeaderBlock, HeaderBlockParser, MAX_HEADER_FIELD_BYTES, MAX_HEADERS } from './header-block.ts';

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function parse(...parts: Uint8Array[]): Map<string, string> {
  const parser = new HeaderBlockParser();
  for (const part of parts) parser.push(part);
  return new Map(parser.finish());
}

const pair = (name: string, value: string): Buffer =>
  Buffer.concat([u32(Buffer.byteLength(name)), Buffer.from(name), u32(Buffer.byteLength(value)), Buffer.from(value)]);

describe('a header block', () => {
  it('is written as appendix A has it', () => {
    const hex = '000000010000000a73747265616d74797065000000056572726f72';
    expect(Buffer.from(encodeHeaderBlock({ streamType: 'error' })).toString('hex')).toBe(hex);
    expect(Buffer.from(encodeHeaderBlock({})).toString('hex')).toBe('00000000');
  });

  it('gotcha 13: carries lower-case names only, and an upper-case one is refused', () => {
    expect(parse(encodeHeaderBlock({ streamType: 'stdin', requestID: '7' }))).toEqual(
      new Map([
        ['streamtype', 'stdin'],
        ['requestid', '7'],
      ]),
    );
    expect(() => parse(u32(1), pair('streamType', 'stdin'))).toThrow(/"streamType" is not lower-case/);
  });

  it('gives the first of several values, joined by NUL or under a repeated name', () => {
    expect(parse(u32(1), pair('port', '1\x002'))).toEqual(new Map([['port', '1']]));
    expect(parse(u32(2), pair('port', '1'), pair('port', '2'))).toEqual(new Map([['port', '1']]));
  });

  it.each(['connection', 'host', 'keep-alive', 'proxy-connection', 'transfer-encoding'])(
    'refuses %s both ways',
    (name) => {
      expect(() => encodeHeaderBlock({ [name]: 'x' })).toThrow(/is not allowed/);
      expect(() => parse(u32(1), pair(name, 'x'))).toThrow(/is not allowed/);
    },
  );

  it('cannot say a NUL, a name outside ASCII or an empty name', () => {
    expect(() => encodeHeaderBlock({ a: 'x\0y' })).toThrow(/NUL/);
    expect(() => encodeHeaderBlock({ ä: 'x' })).toThrow(/ASCII/);
    expect(() => encodeHeaderBlock({ '': 'x' })).toThrow(/ASCII/);
  });

  it('gotcha 11: takes 1000 headers and refuses 1001 at their count', () => {
    const many = Object.fromEntries(Array.from({ length: MAX_HEADERS }, (_, index) => [`h${index}`, 'v']));
    expect(parse(encodeHeaderBlock(many)).size).toBe(1000);
    expect(() => encodeHeaderBlock({ ...many, more: 'v' })).toThrow(/1001 headers/);
    expect(() => parse(u32(1001))).toThrow(/says 1001 headers, the limit is 1000/);
  });

  it('gotcha 11: takes a value of 1 MiB and refuses one byte more at its length', () => {
    const value = 'v'.repeat(MAX_HEADER_FIELD_BYTES);
    expect(parse(encodeHeaderBlock({ a: value })).get('a')).toBe(value);
    expect(() => encodeHeaderBlock({ a: `${value}v` })).toThrow(/longer than 1048576/);
    expect(() => parse(u32(1), u32(1), Buffer.from('a'), u32(MAX_HEADER_FIELD_BYTES + 1))).toThrow(
      /valueLength is 1048577/,
    );
  });

  it('gotcha 12: refuses lengths of 4 GiB without allocating for them', () => {
    const before = process.memoryUsage().arrayBuffers;
    expect(() => parse(u32(0xffff_ffff))).toThrow(/limit is 1000/);
    expect(() => parse(u32(1), u32(0xffff_ffff))).toThrow(/nameLength is 4294967295/);
    const parser = new HeaderBlockParser();
    parser.push(Buffer.concat([u32(1), u32(MAX_HEADER_FIELD_BYTES), Buffer.from('short')]));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(512 * 1024);
    expect(() => parser.finish()).toThrow(/ends inside a name/);
  });

  it('limits the block as a whole', () => {
    const parser = new HeaderBlockParser();
    parser.push(u32(1000));
    const one = Buffer.concat([u32(1), Buffer.from('a'), u32(1024 * 1024), Buffer.alloc(1024 * 1024)]);
    expect(() => {
      for (let count = 0; count < 10; count += 1) parser.push(one);
    }).toThrow(/longer than 4194304 bytes/);
  });

  it('must end where its last header ends', () => {
    expect(() => parse(u32(0), Buffer.from([0]))).toThrow(/after its last header/);
    expect(() => parse(u32(1), pair('a', 'b').subarray(0, -1))).toThrow(/ends inside a value/);
    expect(() => parse()).toThrow(/ends inside a count/);
  });

  it('is read the same in any pieces, and gives what was written', () => {
    const name = fc.stringMatching(/^x[a-z0-9-]{0,30}$/);
    const value = fc.string({ unit: 'binary', maxLength: 600 }).map((text) => text.replaceAll('\0', ' '));
    fc.assert(
      fc.property(fc.dictionary(name, value), fc.array(fc.integer({ min: 1, max: 300 })), (headers, cuts) => {
        const block = encodeHeaderBlock(headers);
        const pieces: Uint8Array[] = [];
        let at = 0;
        for (const cut of cuts) {
          pieces.push(block.subarray(at, at + cut));
          at += cut;
        }
        pieces.push(block.subarray(at));
        expect(parse(...pieces)).toEqual(new Map(Object.entries(headers)));
      }),
      { numRuns: 200 },
    );
  });
});
