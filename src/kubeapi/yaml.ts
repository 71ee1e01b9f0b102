import type { DocumentOptions, ParseOptions, SchemaOptions, Tags } from 'yaml';
import { ExecPathError, toError } from '../common/errors.ts';

/** The longest YAML or JSON text that is read, in characters. Upstream stores no object above 1.5 MiB. */
export const MAX_YAML_CHARS = 16 * 1024 * 1024;

/**
 * What kubectl's parser understands: YAML 1.1 (`yes` is true, `0644` is octal), but dates and `22:22` stay text.
 * Found by trying kubectl 1.32 with each form.
 */
const dialect = {
  version: '1.1',
  merge: true,
  logLevel: 'error',
  customTags: (tags: Tags) =>
    tags.filter((tag) => typeof tag === 'string' || (!/timestamp$|binary$/.test(tag.tag) && tag.format !== 'TIME')),
} as const satisfies ParseOptions & DocumentOptions & SchemaOptions & { logLevel: string };

/**
 * Reads every document of a YAML stream; JSON is YAML. Empty documents are left out.
 *
 * @param source a file name or `-`, quoted in errors
 * @throws ExecPathError `code` with file, line and what is wrong
 */
export async function parseYaml(
  text: string,
  source: string,
  code: 'ERR_MANIFEST' | 'ERR_KUBECONFIG' = 'ERR_MANIFEST',
): Promise<unknown[]> {
  if (text.length > MAX_YAML_CHARS) {
    throw new ExecPathError(code, `${source} is longer than ${MAX_YAML_CHARS} characters`);
  }
  const { parseAllDocuments } = await import('yaml');
  const documents = parseAllDocuments(text, dialect);
  const values: unknown[] = [];
  for (const document of Array.isArray(documents) ? documents : []) {
    const [error] = document.errors;
    if (error) throw new ExecPathError(code, `${source} is not YAML: ${firstLine(error.message)}`, { cause: error });
    const value = plainValue(document, source, code);
    if (value !== null && value !== undefined) values.push(value);
  }
  return values;
}

/** Aliases are resolved here; the library refuses documents whose aliases multiply without end. */
function plainValue(document: { toJS(): unknown }, source: string, code: 'ERR_MANIFEST' | 'ERR_KUBECONFIG'): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    throw new ExecPathError(code, `${source} is not YAML: ${firstLine(toError(cause).message)}`, { cause });
  }
}

/** The library adds an excerpt below its sentence. */
function firstLine(message: string): string {
  return (message.split('\n')[0] ?? '').replace(/:$/, '');
}
