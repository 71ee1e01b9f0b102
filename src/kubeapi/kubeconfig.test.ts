import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExecPathError } from '../common/errors.ts';
import type { ClientOverrides } from './client-config.ts';
import { inClusterKubeconfig } from './in-cluster.ts';
import { loadKubeconfig } from './kubeconfig.ts';
import { parseKubeconfig } from './kubeconfig-file.ts';
import { loadClientConfig, resolveKubeconfig } from './resolve-kubeconfig.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-kubeconfig-'));
});
afterAll(() => rm(folder, { recursive: true }));

const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const data = Buffer.from(pem).toString('base64');

/** A kubeconfig of one cluster, user and context `x`, with flow mappings put in. */
const config = (cluster: string, user = '{}', context = '{cluster: x, user: x}'): string => `
apiVersion: v1
kind: Config
current-context: x
clusters: [{name: x, cluster: ${cluster}}]
users: [{name: x, user: ${user}}]
contexts: [{name: x, context: ${context}}]
`;
const server = '{server: "https://h:6443"}';

async function resolve(text: string, overrides: ClientOverrides = {}) {
  return resolveKubeconfig(await parseKubeconfig(text, '/etc/k/config'), overrides);
}

async function message(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => new Error('it was accepted'),
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(ExecPathError);
  expect(error).toMatchObject({ code: 'ERR_KUBECONFIG' });
  return (error as Error).message;
}

describe('finding and merging kubeconfigs', () => {
  it('takes the first file that names an entry, whole, and passes over files that are missing', async () => {
    const [one, two] = [join(folder, 'one'), join(folder, 'two')];
    await writeFile(
      one,
      'clusters: [{name: c, cluster: {server: "https://a:1"}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]',
    );
    await writeFile(
      two,
      `current-context: x
clusters: [{name: c, cluster: {server: "https://b:2", tls-server-name: b}}, {name: d, cluster: {server: "https://d:2"}}]
users: [{name: u, user: {token: t}}]`,
    );
    const kubeconfig = await loadKubeconfig({ env: { KUBECONFIG: `${one}::${join(folder, 'none')}:${two}:${one}` } });
    expect(kubeconfig.files).toEqual([one, two]);
    const resolved = resolveKubeconfig(kubeconfig);
    expect([resolved.server.href, resolved.tlsServerName, resolved.token]).toEqual(['https://a:1/', undefined, 't']);
    expect(resolveKubeconfig(kubeconfig, { cluster: 'd' }).server.href).toBe('https://d:2/');
  });

  it('reads --kubeconfig alone, and it must exist; else the home folder', async () => {
    const [home, alone] = [join(folder, 'home'), join(folder, 'alone')];
    await mkdir(join(home, '.kube'), { recursive: true });
    await writeFile(join(home, '.kube', 'config'), config('{server: "https://home:1"}'));
    await writeFile(alone, config('{server: "https://alone:1"}'));
    expect((await loadClientConfig({ env: {}, home })).server.host).toBe('home:1');
    expect((await loadClientConfig({ env: { KUBECONFIG: 'x' }, home, kubeconfig: alone })).server.host).toBe('alone:1');
    expect(await message(loadClientConfig({ env: {}, home, kubeconfig: '/nowhere/k' }))).toBe(
      'kubeconfig /nowhere/k does not exist',
    );
  });

  it('says where it looked when there is none, and needs none when the flags say all', async () => {
    const said = await message(loadClientConfig({ env: {}, home: '/nowhere' }));
    expect(said).toMatch(/there is no kubeconfig \(looked for \/nowhere\/\.kube\/config\): pass --kubeconfig/);
    const overrides = { server: 'https://s:1', token: 't', namespace: 'n' };
    expect(await loadClientConfig({ env: {}, home: '/nowhere', overrides })).toMatchObject({
      token: 't',
      namespace: 'n',
    });
  });

  it('uses the service account inside a pod', async () => {
    const account = join(folder, 'account');
    const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
    expect(await inClusterKubeconfig(env, account)).toBeUndefined();
    await mkdir(account);
    await writeFile(join(account, 'token'), 't');
    await writeFile(join(account, 'namespace'), 'mine');
    expect(await inClusterKubeconfig({}, account)).toBeUndefined();
    const found = await inClusterKubeconfig(env, account);
    if (found === undefined) throw new Error('the service account was not found');
    expect(resolveKubeconfig(found, { as: 'bob' })).toMatchObject({
      server: new URL('https://[fd00::1]'),
      namespace: 'mine',
      tokenFile: join(account, 'token'),
      certificateAuthority: { file: join(account, 'ca.crt') },
      impersonate: { user: 'bob' },
    });
  });
});

describe('one kubeconfig', () => {
  it('gives everything a call needs, paths relative to the file, -data before files', async () => {
    const resolved = await resolve(
      config(
        `{server: "https://h:6443/prefix", certificate-authority: ca.crt, tls-server-name: sni, proxy-url: "socks5://p:1"}`,
        `{client-certificate: ../c.crt, client-certificate-data: ${data}, client-key: /abs/c.key, tokenFile: sub/token, token: t, as: bob, as-uid: "7", as-groups: [g], as-user-extra: {k: [v]}}`,
        '{cluster: x, user: x, namespace: prod}',
      ),
    );
    expect(resolved).toMatchObject({
      server: new URL('https://h:6443/prefix'),
      namespace: 'prod',
      certificateAuthority: { file: '/etc/k/ca.crt' },
      tlsServerName: 'sni',
      proxyUrl: new URL('socks5://p:1'),
      clientCertificate: { pem },
      clientKey: { file: '/abs/c.key' },
      tokenFile: '/etc/k/sub/token',
      impersonate: { user: 'bob', uid: '7', groups: ['g'], extra: { k: ['v'] } },
    });
  });

  it('reads an exec plugin, its command relative to the file when it is a path', async () => {
    const plugin = (command: string) =>
      `{exec: {apiVersion: client.authentication.k8s.io/v1, command: ${command}, args: [a], env: [{name: NAME, value: V}], interactiveMode: Never, provideClusterInfo: true, installHint: get it}}`;
    expect((await resolve(config(server, plugin('./bin/p')))).exec).toEqual({
      apiVersion: 'client.authentication.k8s.io/v1',
      command: '/etc/k/bin/p',
      args: ['a'],
      env: { NAME: 'V' },
      interactiveMode: 'Never',
      provideClusterInfo: true,
      installHint: 'get it',
    });
    expect((await resolve(config(server, plugin('p')))).exec?.command).toBe('p');
  });

  it('lets flags beat the file, and a token by flag every other way to be known', async () => {
    const text = config(`{server: "https://h:1", certificate-authority-data: ${data}}`, '{username: u, password: p}');
    expect(await resolve(text)).toMatchObject({ basic: { username: 'u', password: 'p' } });
    const resolved = await resolve(text, {
      server: 'https://o:2',
      token: 't',
      insecureSkipTlsVerify: true,
      as: 'root',
      namespace: 'n',
    });
    expect(resolved).toMatchObject({
      server: new URL('https://o:2'),
      token: 't',
      basic: undefined,
      insecureSkipTlsVerify: true,
      certificateAuthority: undefined,
      impersonate: { user: 'root' },
      namespace: 'n',
    });
    expect((await resolve(text, { certificateAuthority: 'mine.crt' })).certificateAuthority).toEqual({
      file: 'mine.crt',
    });
  });

  it('guesses the scheme of a bare server as client-go does, and tolerates a user that nobody defined', async () => {
    expect((await resolve(config('{server: "h:1"}'))).server.href).toBe('http://h:1/');
    expect((await resolve(config('{server: "h:1", insecure-skip-tls-verify: true}'))).server.href).toBe('https://h:1/');
    expect(await resolve(config(server, '{}', '{cluster: x, user: ghost}'))).toMatchObject({ token: undefined });
  });

  const file = '/etc/k/config';
  it.each<[what: string, text: string, words: string, overrides?: ClientOverrides]>([
    ['broken YAML', 'a: [', `kubeconfig ${file} is not YAML`],
    ['a list', '[]', `${file} is not a mapping but a list`],
    ['another kind', 'kind: Pod\napiVersion: v1', `${file}: this is a Pod v1, not a Config v1`],
    [
      'a token that YAML takes for a number',
      config(server, '{token: 123}'),
      `${file}: user "x": token is not text but a number: quote it`,
    ],
    [
      'a flag that is text',
      config('{insecure-skip-tls-verify: "yes"}'),
      'cluster "x": insecure-skip-tls-verify is not true or false but a string',
    ],
    [
      'a CA beside insecure-skip-tls-verify',
      config('{certificate-authority: ca, insecure-skip-tls-verify: true}'),
      'cluster "x": insecure-skip-tls-verify and a certificate-authority exclude each other: remove one',
    ],
    [
      'data that is not base64',
      config('{certificate-authority-data: "%%"}'),
      'certificate-authority-data is not base64',
    ],
    [
      'base64 that is not PEM',
      config('{certificate-authority-data: AAAA}'),
      'certificate-authority-data is base64, but not of PEM',
    ],
    ['a certificate without key', config(server, '{client-certificate: c}'), 'client-certificate needs client-key'],
    ['a key without certificate', config(server, '{client-key: c}'), 'client-key needs client-certificate'],
    [
      'auth-provider',
      config(server, '{auth-provider: {name: gcp}}'),
      'auth-provider is no longer supported anywhere: use an exec plugin',
    ],
    [
      'a plugin without command',
      config(server, '{exec: {apiVersion: client.authentication.k8s.io/v1}}'),
      'user "x": exec: command is missing',
    ],
    ['a plugin without version', config(server, '{exec: {command: p}}'), 'exec: apiVersion is missing'],
    [
      'a plugin of v1alpha1',
      config(server, '{exec: {command: p, apiVersion: client.authentication.k8s.io/v1alpha1}}'),
      '"client.authentication.k8s.io/v1alpha1" is not one of client.authentication.k8s.io/v1, ',
    ],
    [
      'a v1 plugin without interactiveMode',
      config(server, '{exec: {command: p, apiVersion: client.authentication.k8s.io/v1}}'),
      'interactiveMode is missing: set one of Never',
    ],
    [
      'a token and a username',
      config(server, '{token: t, username: u}'),
      `${file}: user "x": a token and a username exclude each other`,
    ],
    [
      'groups without a user to act as',
      config(server, '{as-groups: [g]}'),
      'as-uid, as-groups and as-user-extra need as',
    ],
    ['no server', config('{}'), `${file}: cluster "x" has no server`],
    ['a server of another scheme', config('{server: "ftp://h"}'), 'server "ftp://h" is not http(s)://'],
    ['a server that is no URL', config('{server: "https://h:port"}'), '"https://h:port" is not a URL'],
    [
      'a proxy of another scheme',
      config('{server: "https://h", proxy-url: "ftp://p"}'),
      'proxy-url is not a URL that begins with http://, https:// or socks5://',
    ],
    [
      'a cluster that is not there',
      config(server, '{}', '{cluster: other}'),
      `context "x" of ${file} names cluster "other", which is not defined: in ${file} there is "x"`,
    ],
    [
      'a context that is not there',
      config(server),
      `there is no context "y": in ${file} there is "x"`,
      { context: 'y' },
    ],
    ['a cluster by flag that is not there', config(server), 'there is no cluster "c": in', { cluster: 'c' }],
    ['a context without cluster', config(server, '{}', '{user: x}'), `${file}: context "x" names no cluster`],
    ['a user by flag that is not there', config(server), 'there is no user "y":', { user: 'y' }],
    [
      'no current context',
      config(server).replace('current-context: x', ''),
      `no context is chosen in ${file}: set current-context or pass --context (there is "x")`,
    ],
    [
      'both TLS flags',
      config(server),
      '--insecure-skip-tls-verify and --certificate-authority exclude',
      { insecureSkipTlsVerify: true, certificateAuthority: 'c' },
    ],
  ])('refuses %s, saying what to do', async (_what, text, words, overrides = {}) => {
    expect(await message(resolve(text, overrides))).toContain(words);
  });

  it('never quotes a secret of the wrong shape', async () => {
    expect(await message(resolve(config(server, '{token: [hunter2]}')))).not.toContain('hunter2');
    const proxied = config('{server: "https://h", proxy-url: "ftp://me:hunter2@p"}');
    expect(await message(resolve(proxied))).not.toContain('hunter2');
  });
});

describe('a token by flag', () => {
  it('keeps the plugin of the file from running', async () => {
    const plugin = '{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: p}}';
    expect((await resolve(config(server, plugin))).exec).toMatchObject({ interactiveMode: 'IfAvailable' });
    expect((await resolve(config(server, plugin), { token: 't' })).exec).toBeUndefined();
  });
});
