import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePort, parsePorts } from './port.ts';

describe('a port', () => {
  it('is any number from 1 to 65535', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 65_535 }), (port) => parsePort(String(port)) === port));
  });

  it.each(['', '0', '00', '65536', '-1', '+80', '8e1', '0x50', ' 80', '80.0', '99999999999999999999', 'http'])(
    'is not %j',
    (text) => {
      expect(() => parsePort(text)).toThrow(`port ${JSON.stringify(text)} is not a number from 1 to 65535`);
    },
  );

  it('comes in lists too, in order', () => {
    expect(parsePorts(['80,443', '8080'])).toEqual([80, 443, 8080]);
    expect(parsePorts([])).toEqual([]);
    expect(() => parsePorts(['80,'])).toThrow('port ""');
  });
});
