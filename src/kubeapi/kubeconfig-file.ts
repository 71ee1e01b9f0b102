import { dirname, isAbsolute, resolve } from 'node:path';
import { ExecPathError } from '../common/errors.ts';
import type { ExecPluginConfig, InteractiveMode } from './exec-plugin.ts';
import { execPluginVersions, interactiveModes } from './exec-plugin.ts';
import { Fields } from './fields.ts';
import type { ClusterEntry, ContextEntry, Kubeconfig, Located, UserEntry } from './kubeconfig.ts';
import type { PemSource } from './pem-source.ts';
import { parseYaml } from './yaml.ts';

/** The cluster extension that holds what `provideClusterInfo` hands over. */
const EXEC_EXTENSION = 'client.authentication.k8s.io/exec';

/**
 * Reads one kubeconfig file.
 *
 * @param file its path; relative paths inside are relative to its folder
 * @throws ExecPathError ERR_KUBECONFIG naming the file and the entry
 */
export async function parseKubeconfig(text: string, file: string): Promise<Kubeconfig> {
  const documents = await parseYaml(text, `kubeconfig ${file}`, 'ERR_KUBECONFIG');
  const root = new Fields(documents[0], file);
  if (documents.length > 1) root.fail('a kubeconfig is one YAML document, here are several');
  const kind = root.string('kind') ?? 'Config';
  const version = root.string('apiVersion') ?? 'v1';
  if (kind !== 'Config' || version !== 'v1') root.fail(`this is a ${kind} ${version}, not a Config v1`);
  return {
    files: [file],
    currentContext: root.string('current-context'),
    clusters: entries(root, { list: 'clusters', field: 'cluster', file }, clusterEntry),
    users: entries(root, { list: 'users', field: 'user', file }, userEntry),
    contexts: entries(root, { list: 'contexts', field: 'context', file }, contextEntry),
  };
}

interface Section {
  readonly list: string;
  readonly field: string;
  readonly file: string;
}

/** Within one file, too, the first entry of a name wins. */
function entries<T>(
  root: Fields,
  section: Section,
  read: (fields: Fields, file: string) => T,
): Map<string, Located<T>> {
  const { list, field, file } = section;
  const found = new Map<string, Located<T>>();
  for (const item of root.mappings(list)) {
    const name = item.string('name') ?? '';
    const fields = new Fields(item.raw(field), `${file}: ${field} ${JSON.stringify(name)}`);
    if (!found.has(name)) found.set(name, { file, entry: read(fields, file) });
  }
  return found;
}

function contextEntry(fields: Fields): ContextEntry {
  return { cluster: fields.string('cluster'), user: fields.string('user'), namespace: fields.string('namespace') };
}

function clusterEntry(fields: Fields, file: string): ClusterEntry {
  const insecureSkipTlsVerify = fields.flag('insecure-skip-tls-verify');
  const certificateAuthority = pemSource(fields, 'certificate-authority', file);
  if (insecureSkipTlsVerify && certificateAuthority !== undefined) {
    fields.fail('insecure-skip-tls-verify and a certificate-authority exclude each other: remove one');
  }
  const exec = fields.mappings('extensions').find((item) => item.string('name') === EXEC_EXTENSION);
  return {
    server: fields.string('server'),
    tlsServerName: fields.string('tls-server-name'),
    insecureSkipTlsVerify,
    certificateAuthority,
    proxyUrl: fields.string('proxy-url'),
    disableCompression: fields.flag('disable-compression'),
    execConfig: exec?.raw('extension'),
  };
}

function userEntry(fields: Fields, file: string): UserEntry {
  if (fields.has('auth-provider')) {
    fields.fail('auth-provider is no longer supported anywhere: use an exec plugin, as the cloud vendor describes');
  }
  const clientCertificate = pemSource(fields, 'client-certificate', file);
  const clientKey = pemSource(fields, 'client-key', file);
  if (clientCertificate !== undefined && clientKey === undefined) {
    fields.fail('client-certificate needs client-key or client-key-data beside it');
  }
  if (clientKey !== undefined && clientCertificate === undefined) {
    fields.fail('client-key needs client-certificate or client-certificate-data beside it');
  }
  const tokenFile = fields.string('tokenFile');
  return {
    clientCertificate,
    clientKey,
    token: fields.string('token'),
    tokenFile: tokenFile === undefined ? undefined : besideFile(tokenFile, file),
    username: fields.string('username'),
    password: fields.string('password'),
    exec: fields.has('exec') ? execPlugin(fields.mapping('exec'), file) : undefined,
    impersonate: {
      user: fields.string('as'),
      uid: fields.string('as-uid'),
      groups: fields.strings('as-groups'),
      extra: extras(fields.mapping('as-user-extra')),
    },
  };
}

function extras(fields: Fields): Record<string, readonly string[]> {
  return Object.fromEntries(fields.names().map((name) => [name, fields.strings(name)]));
}

/** `-data` beats the file form. */
function pemSource(fields: Fields, name: string, file: string): PemSource | undefined {
  const pem = fields.base64(`${name}-data`);
  if (pem !== undefined) {
    if (!pem.includes('-----BEGIN ')) fields.fail(`${name}-data is base64, but not of PEM`);
    return { pem };
  }
  const path = fields.string(name);
  return path === undefined ? undefined : { file: besideFile(path, file) };
}

function besideFile(path: string, file: string): string {
  return isAbsolute(path) ? path : resolve(dirname(file), path);
}

function execPlugin(fields: Fields, file: string): ExecPluginConfig {
  const command = fields.required('command');
  const apiVersion = oneOf(fields, 'apiVersion', execPluginVersions) ?? fields.fail('apiVersion is missing');
  const mode: InteractiveMode | undefined = oneOf(fields, 'interactiveMode', interactiveModes);
  if (mode === undefined && apiVersion.endsWith('/v1')) {
    fields.fail(`interactiveMode is missing: set one of ${interactiveModes.join(', ')}`);
  }
  return {
    // Go looks names without a slash up in PATH; a path is relative to the kubeconfig.
    command: command.includes('/') ? besideFile(command, file) : command,
    args: fields.strings('args'),
    env: Object.fromEntries(fields.mappings('env').map((item) => [item.required('name'), item.string('value') ?? ''])),
    apiVersion,
    interactiveMode: mode ?? 'IfAvailable',
    installHint: fields.string('installHint'),
    provideClusterInfo: fields.flag('provideClusterInfo'),
  };
}

function oneOf<T extends string>(fields: Fields, name: string, allowed: readonly T[]): T | undefined {
  const text = fields.string(name);
  const found = allowed.find((value) => value === text);
  if (text !== undefined && found === undefined) {
    throw new ExecPathError(
      'ERR_KUBECONFIG',
      `${fields.where}: ${name} ${JSON.stringify(text)} is not one of ${allowed.join(', ')}`,
    );
  }
  return found;
}
