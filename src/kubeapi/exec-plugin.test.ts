import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExecPathError } from '../common/errors.ts';
import type { ClientConfig } from './client-config.ts';
import { Credentials } from './credentials.ts';
import type { ExecPluginConfig, ExecPluginSurroundings } from './exec-plugin.ts';

let folder: string;
let counter: string;
let script: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-plugin-'));
  counter = join(folder, 'runs');
  script = join(folder, 'plugin.mjs');
  // Appends its input to a file, then does as its argument says; {n} becomes the number of the run.
  await writeFile(
    script,
    `#!${process.execPath}
import { appendFileSync, readFileSync } from 'node:fs';
appendFileSync(process.env.COUNTER, process.env.KUBERNETES_EXEC_INFO + '\\n');
const n = readFileSync(process.env.COUNTER, 'utf8').trim().split('\\n').length;
const answer = process.argv[2].replaceAll('{n}', n);
if (answer.startsWith('exit ')) { process.stderr.write('please log in\\n'); process.exit(Number(answer.slice(5))); }
else if (answer === 'hang') setInterval(() => {}, 1000);
else if (answer === 'flood') process.stdout.write('x'.repeat(2 ** 21));
else process.stdout.write(answer);
`,
  );
  await chmod(script, 0o755);
});
afterAll(() => rm(folder, { recursive: true }));

const apiVersion = 'client.authentication.k8s.io/v1';
const answer = (status: object): string => JSON.stringify({ kind: 'ExecCredential', apiVersion, status });

interface Setup {
  readonly plugin?: Partial<ExecPluginConfig>;
  readonly config?: Partial<ClientConfig>;
  readonly surroundings?: ExecPluginSurroundings;
  readonly now?: () => number;
}

async function credentials(reply: string, { plugin, config, surroundings, now }: Setup = {}): Promise<Credentials> {
  await rm(counter, { force: true });
  const exec: ExecPluginConfig = {
    command: script,
    args: [reply],
    env: { COUNTER: counter },
    apiVersion,
    interactiveMode: 'IfAvailable',
    installHint: undefined,
    provideClusterInfo: false,
    ...plugin,
  };
  return new Credentials(
    { server: new URL('https://api.example:6443'), exec, ...config },
    { surroundings: surroundings ?? {}, ...(now === undefined ? {} : { now }) },
  );
}

/** What the plugin was given, one entry a run. */
async function inputs(): Promise<unknown[]> {
  const text = await readFile(counter, 'utf8').catch(() => '');
  return text.trim() === ''
    ? []
    : text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown);
}

async function message(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => new Error('it was accepted'),
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(ExecPathError);
  expect(error).toMatchObject({ code: 'ERR_CREDENTIALS', hop: 'client' });
  return (error as Error).message;
}

describe('a credential plugin', () => {
  it('gives a token, runs once for all who ask at once, and is told about the call', async () => {
    const source = await credentials(answer({ token: 't{n}' }));
    const all = await Promise.all([source.headers(), source.headers(), source.keyPair(), source.headers()]);
    expect(all[0]).toEqual({ Authorization: 'Bearer t1' });
    expect(all[3]).toEqual({ Authorization: 'Bearer t1' });
    expect(await inputs()).toEqual([{ kind: 'ExecCredential', apiVersion, spec: { interactive: false } }]);
  });

  it('is told about the cluster when it wants to be', async () => {
    const pem = '-----BEGIN CERTIFICATE-----\n';
    const source = await credentials(answer({ token: 't' }), {
      plugin: { provideClusterInfo: true },
      config: {
        certificateAuthority: { pem },
        tlsServerName: 'n',
        execConfig: { region: 'r' },
        proxyUrl: new URL('http://p:1'),
      },
    });
    await source.headers();
    expect(await inputs()).toMatchObject([
      {
        spec: {
          cluster: {
            server: 'https://api.example:6443',
            'tls-server-name': 'n',
            'certificate-authority-data': Buffer.from(pem).toString('base64'),
            'proxy-url': 'http://p:1/',
            config: { region: 'r' },
          },
        },
      },
    ]);
  });

  it('is asked again when its answer expires, and not before', async () => {
    let now = Date.parse('2026-01-01T00:00:00Z');
    const source = await credentials(answer({ token: 't{n}', expirationTimestamp: '2026-01-01T01:00:00Z' }), {
      now: () => now,
    });
    expect(await source.headers()).toEqual({ Authorization: 'Bearer t1' });
    now += 3_599_999;
    expect(await source.headers()).toEqual({ Authorization: 'Bearer t1' });
    now += 1;
    expect(await source.headers()).toEqual({ Authorization: 'Bearer t2' });
  });

  it('runs anew after a 401, once for all who were refused', async () => {
    const source = await credentials(answer({ token: 't{n}' }));
    const refused = await source.headers();
    expect(await Promise.all([source.renew(refused), source.renew(refused)])).toEqual([true, true]);
    expect(await source.renew(refused)).toBe(true);
    expect(await source.headers()).toEqual({ Authorization: 'Bearer t2' });
  });

  it('makes no further try when it says the same again', async () => {
    const source = await credentials(answer({ token: 'same' }));
    expect(await source.renew(await source.headers())).toBe(false);
  });

  it('gives a client certificate', async () => {
    const source = await credentials(answer({ clientCertificateData: 'C{n}', clientKeyData: 'K' }));
    expect(await source.keyPair()).toEqual({ cert: 'C1', key: 'K' });
    expect(await source.headers()).toEqual({});
    expect(await source.renew({})).toBe(true);
    expect(await source.keyPair()).toEqual({ cert: 'C2', key: 'K' });
  });

  it('does not run where a token is given', async () => {
    const source = await credentials('exit 1', { config: { token: 'given' } });
    expect(await source.headers()).toEqual({ Authorization: 'Bearer given' });
    expect(await inputs()).toEqual([]);
  });

  it('quotes its last words when it fails, and passes them on as they come', async () => {
    const stderr = new PassThrough();
    const source = await credentials('exit 3', { surroundings: { stderr } });
    expect(await message(source.headers())).toBe(
      `credential plugin ${JSON.stringify(script)} ended with exit code 3: please log in`,
    );
    expect(String(stderr.read())).toBe('please log in\n');
    await message(source.headers());
    expect(await inputs()).toHaveLength(2);
  });

  it('is ended at its deadline, and when it floods', async () => {
    const slow = await credentials('hang', { surroundings: { timeoutMs: 300 } });
    expect(await message(slow.headers())).toMatch(/did not answer within 300 ms$/);
    expect(await message((await credentials('flood')).headers())).toMatch(/printed more than 1048576 bytes$/);
  });

  it('names how to install it when it is missing', async () => {
    const plugin = { command: 'no-such-plugin', installHint: 'run: get no-such-plugin' };
    expect(await message((await credentials('', { plugin })).headers())).toBe(
      'credential plugin "no-such-plugin" is not installed\nrun: get no-such-plugin',
    );
  });

  it('is not started without the terminal that it needs', async () => {
    const source = await credentials(answer({ token: 't' }), { plugin: { interactiveMode: 'Always' } });
    expect(await message(source.headers())).toContain('wants a terminal (interactiveMode Always)');
    expect(await inputs()).toEqual([]);
  });

  it.each([
    ['no JSON', 'hello', 'did not answer in JSON'],
    ['another kind', '{"kind":"Pod"}', 'answered with kind "Pod", not ExecCredential'],
    [
      'another version',
      '{"kind":"ExecCredential","apiVersion":"x"}',
      'answered with apiVersion "x", the kubeconfig says',
    ],
    ['no status', JSON.stringify({ kind: 'ExecCredential', apiVersion }), 'answered without status'],
    ['an empty status', answer({}), 'answered with neither a token nor a client certificate'],
    ['half a pair', answer({ clientKeyData: 'k' }), 'answered with only one of'],
    ['a token that is no text', answer({ token: 5 }), 'answered with a token that is not text'],
    [
      'a time that is none',
      answer({ token: 't', expirationTimestamp: 'soon' }),
      'expirationTimestamp "soon", which is not RFC 3339',
    ],
  ])('is refused when it answers with %s', async (_what, reply, words) => {
    expect(await message((await credentials(reply)).headers())).toContain(words);
  });
});
