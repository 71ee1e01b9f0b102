import { readFile } from 'node:fs/promises';
import type { KubeObject, ResourceType } from '../kubeapi/index.ts';
import type { Io } from './io.ts';
import { kindOf, resourceTypeOf } from './object-kinds.ts';
import { UsageError } from './usage-error.ts';

/** An object of a manifest and the kind that it is of. */
export interface ManifestObject {
  readonly type: ResourceType<KubeObject>;
  readonly object: KubeObject & { readonly kind: string; readonly apiVersion: string };
}

/**
 * Reads the objects of `-f FILE…`; `-` is stdin.
 *
 * @throws ExecPathError ERR_MANIFEST naming file, document and field; UsageError for a kind that podwire does not have
 */
export async function readManifests(files: readonly string[], io: Io): Promise<readonly ManifestObject[]> {
  const { parseManifests } = await import('../kubeapi/index.ts');
  const found: ManifestObject[] = [];
  for (const file of files) {
    const text = file === '-' ? await readAll(io) : await readFile(file, 'utf8').catch(unreadable(file));
    for (const object of await parseManifests(text, file === '-' ? 'stdin' : file)) {
      const read = object as ManifestObject['object'];
      const kind = kindOf(read.kind);
      if (kind === undefined)
        throw new UsageError(`${file}: podwire has no objects of kind ${JSON.stringify(read.kind)}`);
      found.push({ type: await resourceTypeOf(kind), object: read });
    }
  }
  return found;
}

function unreadable(file: string): (cause: unknown) => never {
  return (cause) => {
    throw new UsageError(`the path ${JSON.stringify(file)} cannot be read: ${(cause as Error).message}`);
  };
}

async function readAll(io: Io): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of io.input() as AsyncIterable<Buffer | string>) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}
