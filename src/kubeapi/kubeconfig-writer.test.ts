import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Kubectl } from '../../test/support/kubectl.ts';
import { describeWithPeer } from '../../test/support/peer.ts';
import { CertificateAuthority, type KeyPair } from '../pki/authority.ts';
import { KubeClient } from './client.ts';
import { writeKubeconfig } from './kubeconfig-writer.ts';
import { loadClientConfig } from './resolve-kubeconfig.ts';
import { createTransport } from './transport.ts';

let folder: string;
let file: string;
let authority: CertificateAuthority;
let me: KeyPair;
let server: ReturnType<typeof createServer>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-writer-'));
  file = join(folder, 'state', 'admin.kubeconfig');
  authority = await CertificateAuthority.create('ca');
  me = await authority.issue({ commonName: 'admin', organizations: ['system:masters'], usages: ['client'] });
  const pair = await authority.issue({ commonName: 'api', hosts: ['127.0.0.1'], usages: ['server'] });
  server = createServer(
    { cert: pair.certificate, key: pair.key, ca: authority.certificate, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate();
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ path: request.url, user: subject.CN, group: subject.O }));
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await writeKubeconfig(file, {
    name: 'yes',
    server: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    namespace: '0644',
    certificateAuthority: authority.certificate,
    clientCertificate: me.certificate,
    clientKey: me.key,
    token: '22:22',
  });
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true });
});

describe('a written kubeconfig', () => {
  it('is readable by its owner alone, and nothing else is left behind', async () => {
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'state'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(folder, 'state'))).toEqual(['admin.kubeconfig']);
  });

  it('reads back as what was written, and reaches the server', async () => {
    const config = await loadClientConfig({ kubeconfig: file, env: {} });
    expect(config).toMatchObject({ namespace: '0644', token: '22:22', clientKey: { pem: me.key } });
    const client = new KubeClient(createTransport(config, { env: {} }));
    expect(await client.call('GET', '/whoami')).toEqual({ path: '/whoami', user: 'admin', group: 'system:masters' });
    client.close();
  });
});

describeWithPeer('kubectl', 'a written kubeconfig and real kubectl', () => {
  it('is read as it was written, and reaches the server with its certificate', async () => {
    using kubectl = await Kubectl.create({ kubeconfig: file });
    expect(JSON.parse(await kubectl.must('config', 'view', '--raw', '-o', 'json'))).toMatchObject({
      'current-context': 'yes',
      clusters: [
        {
          name: 'yes',
          cluster: { 'certificate-authority-data': Buffer.from(authority.certificate).toString('base64') },
        },
      ],
      users: [{ user: { token: '22:22' } }],
      contexts: [{ context: { cluster: 'yes', user: 'yes', namespace: '0644' } }],
    });
    const whoami = JSON.parse(await kubectl.must('get', '--raw', '/whoami')) as unknown;
    expect(whoami).toEqual({ path: '/whoami', user: 'admin', group: 'system:masters' });
  });
});
