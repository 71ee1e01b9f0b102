import { readFile } from 'node:fs/promises';
import { UsageError } from '../usage-error.ts';
import type { FormatFile, OutputFormat } from './output-format.ts';

/** The format itself, from its file where it is in one. @throws UsageError */
export async function loadFormat(format: OutputFormat | FormatFile): Promise<OutputFormat> {
  if (format.kind !== 'file') return format;
  const text = await readFile(format.path, 'utf8').catch((cause: Error) => {
    throw new UsageError(`error reading --template ${format.path}, ${cause.message}`);
  });
  return format.read(text);
}
