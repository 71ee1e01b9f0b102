import { Buffer } from 'node:buffer';

/** One member of a tar archive. Time is the epoch: the same input gives the same bytes. */
export type TarEntry =
  | {
      readonly kind: 'file';
      readonly name: string;
      readonly mode: number;
      readonly body: Uint8Array;
      /** User and group. Default: root. */
      readonly owner?: number;
    }
  | { readonly kind: 'directory'; readonly name: string; readonly mode: number }
  | { readonly kind: 'symlink'; readonly name: string; readonly target: string }
  | { readonly kind: 'hardlink'; readonly name: string; readonly target: string }
  /** A device is that of number 1, 5, which is /dev/zero for a character device. */
  | { readonly kind: 'character-device' | 'block-device' | 'fifo'; readonly name: string };

const BLOCK_BYTES = 512;
const typeFlags = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  'character-device': '3',
  'block-device': '4',
  directory: '5',
  fifo: '6',
} as const;

/**
 * Writes a POSIX ustar archive.
 *
 * @throws RangeError for a name or target over 100 bytes: the prefix field is not used
 * @see POSIX.1-2017, pax, "ustar Interchange Format"
 */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  const parts = entries.flatMap((entry) => {
    if (entry.kind !== 'file') return [header(entry)];
    const padding = (BLOCK_BYTES - (entry.body.length % BLOCK_BYTES)) % BLOCK_BYTES;
    return [header(entry), entry.body, Buffer.alloc(padding)];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK_BYTES)]);
}

function header(entry: TarEntry): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  put(block, entry.name, 0, 100);
  put(block, octal('mode' in entry ? entry.mode : 0o755, 7), 100, 8);
  const owner = entry.kind === 'file' ? (entry.owner ?? 0) : 0;
  put(block, octal(owner, 7), 108, 8);
  put(block, octal(owner, 7), 116, 8);
  put(block, octal(entry.kind === 'file' ? entry.body.length : 0, 11), 124, 12);
  put(block, octal(0, 11), 136, 12);
  block.fill(' ', 148, 156);
  put(block, typeFlags[entry.kind], 156, 1);
  if ('target' in entry) put(block, entry.target, 157, 100);
  put(block, 'ustar\u000000', 257, 8);
  if (entry.kind.endsWith('-device')) {
    put(block, octal(1, 7), 329, 8);
    put(block, octal(5, 7), 337, 8);
  }
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(block, `${octal(sum, 6)}\0 `, 148, 8);
  return block;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

function put(block: Buffer, text: string, offset: number, length: number): void {
  const bytes = Buffer.from(text);
  if (bytes.length > length) throw new RangeError(`${JSON.stringify(text)} exceeds ${length} bytes in a tar header`);
  bytes.copy(block, offset);
}
