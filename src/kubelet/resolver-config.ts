import { open } from 'node:fs/promises';
import { toError } from '../common/errors.ts';
import { manifestError } from './manifest-error.ts';

/** Where a machine says whom it asks for names. */
export const MACHINE_RESOLVER = '/etc/resolv.conf';

/** A file that is longer is none. */
const MAX_BYTES = 10 * 1024 * 1024;

/** resolv.conf(5), taken apart. */
export interface ResolverConfig {
  readonly servers: string[];
  readonly searches: string[];
  /** Each `name` or `name:value`. */
  readonly options: string[];
}

/**
 * Reads a file as resolv.conf(5) has it.
 *
 * @param path '' for none: nobody is asked
 * @throws ExecPathError ERR_MANIFEST that names the file
 */
export async function readResolver(path: string): Promise<ResolverConfig> {
  if (path === '') return { servers: [], searches: [], options: [] };
  try {
    return parseResolver(await readText(path));
  } catch (cause) {
    const message = `resolver configuration ${path}: ${toError(cause).message}`;
    throw manifestError(message, cause);
  }
}

async function readText(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    if (size > MAX_BYTES) throw new Error(`has more than ${MAX_BYTES} bytes`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/**
 * Servers add up; of search lines the last one counts, and of each option.
 *
 * @throws Error for a server without an address
 * @see kubernetes pkg/kubelet/network/dns/dns.go, parseResolvConf
 */
export function parseResolver(text: string): ResolverConfig {
  const servers: string[] = [];
  let searches: string[] = [];
  let options: string[] = [];
  for (const line of text.split('\n')) {
    const [keyword = '', ...values] = line.trim().split(/\s+/);
    if (keyword === 'nameserver') {
      if (values[0] === undefined) throw new Error('a nameserver line without an address');
      servers.push(values[0]);
    } else if (keyword === 'search') {
      searches = values.filter((domain) => domain !== '.').map((domain) => domain.replace(/\.$/, ''));
    } else if (keyword === 'options') options = mergedOptions(options, values);
  }
  return { servers, searches, options };
}

/** Of several options of one name the last one counts. */
export function mergedOptions(before: readonly string[], more: readonly string[]): string[] {
  return [...new Map([...before, ...more].map((option) => [option.split(':')[0], option])).values()];
}
