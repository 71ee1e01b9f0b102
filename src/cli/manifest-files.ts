import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ExecPathError } from '../common/errors.ts';
import type { KubeObject, ResourceType } from '../kubeapi/index.ts';
import type { Io } from './io.ts';
import type { TypeFinder } from './type-finder.ts';
import { UsageError } from './usage-error.ts';

type ReadObject = KubeObject & { readonly kind: string; readonly apiVersion: string };

/** An object of a manifest and the type that it is of. */
export interface ManifestObject {
  readonly type: ResourceType<KubeObject>;
  readonly object: ReadObject;
  /** Its file, or STDIN. */
  readonly source: string;
}

/** What manifests hold. */
export interface Manifests {
  readonly objects: readonly ManifestObject[];
  /** Of files that hold no objects, and of objects that are none of the server's. */
  readonly failures: readonly unknown[];
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
 * As kubectl: a path that cannot be read is refused before anything is done; a file or an object that breaks a rule is
 * told, and the others have their turn.
 *
 * @returns gives the objects their types, once it is known which server is asked
 * @throws UsageError for a path that cannot be read
 */
export async function readManifests(
  paths: readonly string[],
  io: Io,
  options: ManifestOptions = {},
): Promise<(types: Pick<TypeFinder, 'typeOfObject'>) => Promise<Manifests>> {
  const { parseManifests } = await import('../kubeapi/index.ts');
  const read: { readonly source: string; readonly object: ReadObject }[] = [];
  const unread: unknown[] = [];
  const files = await Promise.all(paths.map((path) => filesAt(path, options.recursive ?? false)));
  for (const file of files.flat()) {
    const text = file === '-' ? await readAll(io) : await readFile(file, 'utf8').catch(unreadable(file));
    const source = file === '-' ? 'STDIN' : file;
    try {
      const objects = (await parseManifests(text, source)) as ReadObject[];
      read.push(...objects.map((object) => ({ source, object })));
    } catch (thrown) {
      unread.push(thrown);
    }
  }
  return async (types) => {
    const objects: ManifestObject[] = [];
    const failures = [...unread];
    for (const { source, object } of read) {
      try {
        const type = await types.typeOfObject(object, source);
        checkObject(object, type, options);
        objects.push({ type, object, source });
      } catch (thrown) {
        if (!(thrown instanceof ExecPathError) || thrown.code !== 'ERR_MANIFEST') throw thrown;
        failures.push(thrown);
      }
    }
    return { objects, failures };
  };
}

/** @throws ExecPathError ERR_MANIFEST in kubectl's words */
function checkObject(
  { metadata: { name, generateName, namespace } }: KubeObject,
  { namespaced }: ResourceType<unknown>,
  { command = 'this command', namespace: demanded }: ManifestOptions,
): void {
  if (name === '') {
    throw new ExecPathError('ERR_MANIFEST', `from ${generateName}: cannot use generate name with ${command}`);
  }
  if (namespaced) checkNamespace(namespace, demanded);
}

/** Whoever names a namespace does not expect changes in another. */
function checkNamespace(given = '', demanded = ''): void {
  if (given === '' || demanded === '' || given === demanded) return;
  throw new ExecPathError(
    'ERR_MANIFEST',
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
