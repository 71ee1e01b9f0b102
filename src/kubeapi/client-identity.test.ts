import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { failureOf } from '../../test/support/failure.ts';
import { Loopback } from '../../test/support/loopback.ts';
import { CertificateAuthority } from '../pki/authority.ts';
import { KubeClient } from './client.ts';
import type { ClientConfig } from './client-config.ts';
import { createTransport } from './transport.ts';

const loopback = new Loopback();
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-identity-'));
});
afterEach(async () => {
  await loopback.close();
  await rm(folder, { recursive: true });
});

function clientOf(config: ClientConfig, timeoutMs = 5000): KubeClient {
  const client = new KubeClient(createTransport(config, { env: {} }), { timeoutMs });
  loopback.defer(() => client.close());
  return client;
}

/** An API that takes one token only, and notes all that it saw. */
async function apiThatTakes(token: () => string): Promise<{ server: URL; seen: (string | undefined)[] }> {
  const seen: (string | undefined)[] = [];
  const server = createHttpServer((request, response) => {
    seen.push(request.headers.authorization);
    response.statusCode = request.headers.authorization === `Bearer ${token()}` ? 200 : 401;
    response.end('{"kind":"Status","status":"Failure","message":"Unauthorized","code":401}');
  });
  return { server: new URL(`http://127.0.0.1:${await loopback.listen(server)}`), seen };
}

describe('a client whose token is refused', () => {
  it('reads its token file at once and tries again, but not twice', async () => {
    let token = 'old';
    const { server, seen } = await apiThatTakes(() => token);
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, 'old');
    const client = clientOf({ server, tokenFile });
    await client.call('GET', '/');
    token = 'new';
    await writeFile(tokenFile, 'new');
    await client.call('GET', '/');
    expect(seen).toEqual(['Bearer old', 'Bearer old', 'Bearer new']);
    token = 'newer';
    expect(await failureOf(client.call('GET', '/'))).toMatchObject({ code: 'ERR_UNAUTHORIZED' });
    expect(seen).toHaveLength(4);
  });

  it('runs its plugin again, with the clock of the call stopped', async () => {
    const { server, seen } = await apiThatTakes(() => 't2');
    const script = join(folder, 'plugin.mjs');
    const kind = `kind:'ExecCredential',apiVersion:'client.authentication.k8s.io/v1'`;
    await writeFile(
      script,
      `import { appendFileSync, readFileSync } from 'node:fs';
const runs = new URL('runs', import.meta.url);
appendFileSync(runs, 'x');
setTimeout(() => console.log(JSON.stringify({${kind},status:{token:'t'+readFileSync(runs).length}})), 150);`,
    );
    const exec = {
      command: process.execPath,
      args: [script],
      env: {},
      apiVersion: 'client.authentication.k8s.io/v1',
      interactiveMode: 'Never',
      installHint: undefined,
      provideClusterInfo: false,
    } as const;
    // Each run of the plugin takes longer than the whole call may.
    await clientOf({ server, exec }, 100).call('GET', '/');
    expect(seen).toEqual(['Bearer t1', 'Bearer t2']);
  });
});

describe('a client with a certificate', () => {
  let authority: CertificateAuthority;
  const files = () => ({
    clientCertificate: { file: join(folder, 'c.crt') },
    clientKey: { file: join(folder, 'c.key') },
  });

  beforeEach(async () => {
    authority = await CertificateAuthority.create('ca');
  });

  async function install(commonName: string): Promise<void> {
    const pair = await authority.issue({ commonName, usages: ['client'] });
    await writeFile(join(folder, 'c.crt'), pair.certificate);
    await writeFile(join(folder, 'c.key'), pair.key);
  }

  /** Answers with the name on the client's certificate. */
  async function whoAmI(options: ServerOptions = {}): Promise<URL> {
    const pair = await authority.issue({ commonName: 'api', hosts: ['127.0.0.1'], usages: ['server'] });
    const server = createServer(
      { cert: pair.certificate, key: pair.key, ca: authority.certificate, requestCert: true, ...options },
      (request, response) => {
        response.end(JSON.stringify((request.socket as TLSSocket).getPeerCertificate().subject.CN));
      },
    );
    return new URL(`https://127.0.0.1:${await loopback.listen(server)}`);
  }

  it('lets kept connections go when its certificate is replaced', async () => {
    await install('before');
    const client = clientOf({
      server: await whoAmI(),
      certificateAuthority: { pem: authority.certificate },
      ...files(),
    });
    expect(await client.call('GET', '/')).toBe('before');
    await install('after');
    expect(await client.call('GET', '/')).toBe('after');
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'is told in words over %s when the server wants one and it has none',
    async (version) => {
      const server = await whoAmI({ rejectUnauthorized: true, minVersion: version, maxVersion: version });
      const client = clientOf({ server, certificateAuthority: { pem: authority.certificate } });
      const error = await failureOf(client.call('GET', '/'));
      expect(error.message).toContain('wants a client certificate');
    },
  );

  it('is told that its certificate may be why a server hangs up', async () => {
    const stranger = await CertificateAuthority.create('stranger');
    const pair = await stranger.issue({ commonName: 'x', usages: ['client'] });
    const server = await whoAmI({ rejectUnauthorized: true, maxVersion: 'TLSv1.2' });
    const client = clientOf({
      server,
      certificateAuthority: { pem: authority.certificate },
      clientCertificate: { pem: pair.certificate },
      clientKey: { pem: pair.key },
    });
    const error = await failureOf(client.call('GET', '/'));
    expect(error.message).toContain('it may not accept our client certificate');
  });
});
