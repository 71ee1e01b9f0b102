import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeObject, ResourceType } from '../kubeapi/index.ts';
import type { Io } from './io.ts';
import { kindOf, resourceTypeOf } from './object-kinds.ts';
import { UsageError } from './usage-error.ts';

/** An object of a manifest and the kind that it is of. */
export interface ManifestObject {
  readonly type: ResourceType<KubeObject>;
  readonly object: KubeObject & { readonly kind: string; readonly apiVersion: string };
}

export interface ManifestOptions {
  /** What the objects are for, for errors. Default: `this command`. */
  readonly command?: string;
  /** Also what is in the folders below a folder. Default: not. */
  readonly recursive?: boolean;
  /** What `--namespace` says: objects of another are refused. Absent or '': any will do. */
  readonly namespace?: string | undefined;
}

/** What in a folder is taken for a manifest. */
const MANIFEST = /\.(?:json|ya?ml)$/;

/**
 * Reads the objects of `-f FILE…`; `-` is stdin, a folder stands for the manifests in it, by name.
 *
 * All are read and checked before the first is handed out, so that a command does either all or nothing.
 *
 * @throws ExecPathError ERR_MANIFEST naming file, document and field; UsageError for a path that cannot be read, and for a
 *   kind that podwire does not have or an object of another namespace or without a name
 */
export async function readManifests(
  paths: readonly string[],
  io: Io,
  { command = 'this command', recursive = false, namespace }: ManifestOptions = {},
): Promise<readonly ManifestObject[]> {
  const { parseManifests } = await import('../kubeapi/index.ts');
  const found: ManifestObject[] = [];
  for (const file of (await Promise.all(paths.map((path) => filesAt(path, recursive)))).flat()) {
    const text = file === '-' ? await readAll(io) : await readFile(file, 'utf8').catch(unreadable(file));
    for (const object of await parseManifests(text, file === '-' ? 'stdin' : file)) {
      const read = object as ManifestObject['object'];
      const kind = kindOf(read.kind);
      if (kind === undefined)
        throw new UsageError(`${file}: podwire has no objects of kind ${JSON.stringify(read.kind)}`);
      const { name, generateName } = read.metadata;
      if (name === '') throw new UsageError(`from ${generateName}: cannot use generate name with ${command}`);
      const type = await resourceTypeOf(kind);
      if (type.namespaced) checkNamespace(read.metadata.namespace, namespace);
      found.push({ type, object: read });
    }
  }
  return found;
}

/** Whoever names a namespace does not expect changes in another. @throws UsageError in kubectl's words */
function checkNamespace(given = '', demanded = ''): void {
  if (given === '' || demanded === '' || given === demanded) return;
  throw new UsageError(
    `the namespace from the provided object ${JSON.stringify(given)} does not match the namespace ` +
      `${JSON.stringify(demanded)}. You must pass '--namespace=${given}' to perform this operation.`,
  );
}

async function filesAt(path: string, recursive: boolean): Promise<readonly string[]> {
  if (path === '-' || !(await stat(path).catch(unreadable(path))).isDirectory()) return [path];
  const names = (await readdir(path, { recursive }).catch(unreadable(path))).filter((name) => MANIFEST.test(name));
  if (names.length > 0) return names.sort().map((name) => join(path, name));
  throw new UsageError(
    `the folder ${JSON.stringify(path)} holds no manifest: no file there ends in .json, .yaml or .yml`,
  );
}

function unreadable(file: string): (cause: unknown) => never {
  return (cause) => {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new UsageError(`the path ${JSON.stringify(file)} does not exist`);
    }
    throw new UsageError(`the path ${JSON.stringify(file)} cannot be read: ${(cause as Error).message}`);
  };
}

async function readAll(io: Io): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of io.input() as AsyncIterable<Buffer | string>) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}
