import { ExecPathError } from '../../common/errors.ts';
import { ByteReader } from './byte-reader.ts';

const BLOCK_BYTES = 512;
/** Of one pax header or long name; real ones have less than 1 KiB. */
const MAX_EXTENSION_BYTES = 1024 * 1024;

export type TarKind =
  | 'file'
  | 'hardlink'
  | 'symlink'
  | 'directory'
  | 'fifo'
  | 'character-device'
  | 'block-device'
  | 'other';

/** One member of an archive. Nothing about its name or target has been checked. */
export interface TarMember {
  readonly kind: TarKind;
  readonly name: string;
  /** Of links. */
  readonly target: string;
  /** Permission bits, setuid, setgid and sticky included. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  readonly size: number;
  /** The bytes of a file. What is not taken before the next member is asked for is skipped. */
  readonly body: AsyncIterable<Buffer>;
}

const kinds: Readonly<Record<string, TarKind>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
};

/**
 * Reads a tar archive: ustar, with pax headers and GNU's long names.
 *
 * @throws ExecPathError ERR_IMAGE_ARCHIVE for what is no archive, or one that is cut off
 * @see POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"
 */
export async function* readTar(source: AsyncIterable<Buffer>): AsyncGenerator<TarMember, void, undefined> {
  const reader = new ByteReader(source);
  let records: Record<string, string> = {};
  const global: Record<string, string> = {};
  for (;;) {
    const header = await reader.exactly(BLOCK_BYTES);
    // Two blocks of zeros end an archive; padding after them is read, so that who counts or hashes has all.
    if (header === undefined || header.every((byte) => byte === 0)) return reader.drain();
    verifyChecksum(header);
    const flag = String.fromCharCode(header[156] ?? 0);
    const size = sizeOf(records['size']) ?? octal(header, 124, 12);
    if (flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K') {
      const text = await extension(reader, size);
      if (flag === 'x') Object.assign(records, paxRecords(text));
      else if (flag === 'g') Object.assign(global, paxRecords(text));
      else records[flag === 'L' ? 'path' : 'linkpath'] = text.toString().replace(/\0.*$/s, '');
      continue;
    }
    const member = memberOf(header, { ...global, ...records });
    records = {};
    const bodyBytes = member.kind === 'file' ? size : 0;
    const body = new Body(reader, bodyBytes);
    yield { ...member, size: bodyBytes, body };
    await body.skip();
  }
}

function memberOf(header: Buffer, records: Readonly<Record<string, string>>): Omit<TarMember, 'body' | 'size'> {
  const isUstar = header.toString('latin1', 257, 262) === 'ustar';
  const prefix = isUstar && header[262] === 0 ? text(header, 345, 155) : '';
  const short = text(header, 0, 100);
  const name = records['path'] ?? (prefix === '' ? short : `${prefix}/${short}`);
  const kind = kinds[String.fromCharCode(header[156] ?? 0)] ?? 'other';
  return {
    // Before ustar a directory was a file whose name ends in a slash.
    kind: kind === 'file' && name.endsWith('/') ? 'directory' : kind,
    name,
    target: records['linkpath'] ?? text(header, 157, 100),
    mode: octal(header, 100, 8) & 0o7777,
    uid: numberOf(records['uid']) ?? octal(header, 108, 8),
    gid: numberOf(records['gid']) ?? octal(header, 116, 8),
    mtime: numberOf(records['mtime']) ?? octal(header, 136, 12),
  };
}

class Body implements AsyncIterable<Buffer> {
  readonly #reader: ByteReader;
  #left: number;
  #padding: number;

  constructor(reader: ByteReader, bytes: number) {
    this.#reader = reader;
    this.#left = bytes;
    this.#padding = (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    while (this.#left > 0) {
      const chunk = await this.#reader.some(this.#left);
      if (chunk === undefined) throw cutOff(this.#left);
      this.#left -= chunk.length;
      yield chunk;
    }
  }

  async skip(): Promise<void> {
    for (let left = this.#left + this.#padding; left > 0; ) {
      const chunk = await this.#reader.some(left);
      if (chunk === undefined) throw cutOff(left);
      left -= chunk.length;
    }
    this.#left = 0;
    this.#padding = 0;
  }
}

function cutOff(bytes: number): ExecPathError {
  return new ExecPathError('ERR_IMAGE_ARCHIVE', `an archive ends ${bytes} bytes before the end of a member`);
}

async function extension(reader: ByteReader, size: number): Promise<Buffer> {
  if (size > MAX_EXTENSION_BYTES) {
    const rule = `a header of ${size} bytes exceeds ${MAX_EXTENSION_BYTES}`;
    throw new ExecPathError('ERR_IMAGE_ARCHIVE', rule);
  }
  const padded = Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
  const bytes = await reader.exactly(padded);
  if (bytes === undefined && padded > 0) throw cutOff(padded);
  return (bytes ?? Buffer.alloc(0)).subarray(0, size);
}

/** Records are `<length of all> <key>=<value>\n`. */
function paxRecords(bytes: Buffer): Record<string, string> {
  const records: Record<string, string> = {};
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString('latin1', at, space === -1 ? at : space));
    const equals = bytes.indexOf(0x3d, space);
    if (space === -1 || equals === -1 || !Number.isInteger(length) || length <= 0 || at + length > bytes.length) {
      throw new ExecPathError('ERR_IMAGE_ARCHIVE', 'a pax header holds a broken record');
    }
    records[bytes.toString('utf8', space + 1, equals)] = bytes.toString('utf8', equals + 1, at + length - 1);
    at += length;
  }
  return records;
}

function verifyChecksum(header: Buffer): void {
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  const told = octal(header, 148, 8);
  if (sum === told) return;
  throw new ExecPathError(
    'ERR_IMAGE_ARCHIVE',
    `a tar header has checksum ${sum} and says ${told}: is it a tar archive?`,
  );
}

function text(header: Buffer, offset: number, length: number): string {
  const field = header.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end === -1 ? length : end);
}

/** An octal number; GNU's base 256 when the first bit is set. */
function octal(header: Buffer, offset: number, length: number): number {
  const first = header[offset] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = first & 0x7f;
    for (let at = offset + 1; at < offset + length; at += 1) value = value * 256 + (header[at] ?? 0);
    return value;
  }
  return Number.parseInt(text(header, offset, length).trim() || '0', 8) || 0;
}

/** @throws ExecPathError ERR_IMAGE_ARCHIVE for what is no whole number of bytes */
function sizeOf(record: string | undefined): number | undefined {
  if (record === undefined || /^\d{1,15}$/.test(record)) return numberOf(record);
  throw new ExecPathError('ERR_IMAGE_ARCHIVE', `a pax header says a size of ${JSON.stringify(record)}`);
}

function numberOf(record: string | undefined): number | undefined {
  const value = record === undefined ? Number.NaN : Number(record);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}
