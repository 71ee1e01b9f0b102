import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ApiAnswer, type ApiCall, ApiWorld, testTokens } from '../../../test/support/api-world.ts';
import { loadClientConfig } from '../../kubeapi/index.ts';
import { CertificateAuthority } from '../../pki/index.ts';
import { type GatewayServer, type GatewayServerOptions, startGateway } from './main.ts';

/** The cluster: an apiserver with objects of its own. */
let cluster: ApiWorld;
let gateways: GatewayServer[] = [];

beforeEach(async () => {
  cluster = await ApiWorld.start();
});
afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.close();
  await cluster[Symbol.asyncDispose]();
});

/** A gateway with the cluster's CA and tokens, and to the cluster the admin. @returns its port */
async function gateway(options: Partial<GatewayServerOptions> = {}): Promise<number> {
  const kubeconfig = cluster.kubeconfig('gateway', { token: testTokens.admin });
  const server = await startGateway({
    upstream: await loadClientConfig({ kubeconfig }),
    securePort: 0,
    shutdownGraceMs: 0,
    ...cluster.files,
    ...options,
  });
  gateways.push(server);
  return server.address?.port ?? 0;
}

const reviews = '/apis/authentication.k8s.io/v1/selfsubjectreviews';

async function whoami(port: number, call: ApiCall = {}): Promise<unknown> {
  const { status, json } = await cluster.call(reviews, { method: 'POST', body: {}, ...call, port });
  const review = json as { message?: string; status?: { userInfo?: { username: string; groups: string[] } } };
  const { username = '', groups = [] } = review.status?.userInfo ?? {};
  return status === 201 ? [username, ...groups].join(' ') : `${status} ${review.message}`;
}

const namespace = (name: string): object => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

describe('a caller of the gateway', () => {
  it('is to the cluster whom the gateway knows it to be, by token or certificate', async () => {
    const port = await gateway();
    expect(await whoami(port, { token: testTokens.bob })).toBe('bob dev ops system:authenticated');
    const pair = await cluster.issue({ commonName: 'ann', organizations: ['dev'] });
    expect(await whoami(port, { pair })).toBe('ann dev system:authenticated');
  });

  it('is turned away when nobody knows it, and never becomes the gateway', async () => {
    const port = await gateway();
    expect(await whoami(port, { token: 'nope' })).toBe('401 Unauthorized');
    const headers = { 'X-Remote-User': 'admin', 'X-Remote-Group': 'system:masters' };
    expect(await whoami(port, { token: testTokens.bob, headers })).toBe('bob dev ops system:authenticated');
  });

  it('may act as somebody else only where the cluster lets it', async () => {
    const port = await gateway();
    const headers = { 'Impersonate-User': 'admin', 'Impersonate-Group': 'system:masters' };
    expect(await whoami(port, { token: testTokens.bob, headers })).toBe(
      '403 users "admin" is forbidden: User "bob" cannot impersonate resource "users" in API group "" at the cluster scope',
    );
    expect(await whoami(port, { headers: { 'Impersonate-User': 'bob' } })).toBe('bob system:authenticated');
  });

  it('is refused by the cluster in the cluster’s words', async () => {
    const port = await gateway();
    const direct = await cluster.call('/api/v1/nodes', { token: testTokens.bob });
    const through = await cluster.call('/api/v1/nodes', { token: testTokens.bob, port });
    expect([through.status, through.json]).toEqual([403, direct.json]);
  });
});

describe('a caller whose own token is passed on', () => {
  it('is to the cluster whom the cluster knows', async () => {
    const port = await gateway({ upstreamCredentials: 'caller' });
    expect(await whoami(port, { token: testTokens.bob })).toBe('bob dev ops system:authenticated');
    expect(await whoami(port, { token: 'nope' })).toBe('401 Unauthorized');
  });

  it('must have one', async () => {
    const port = await gateway({ upstreamCredentials: 'caller' });
    const pair = await cluster.issue({ commonName: 'ann', organizations: ['system:masters'] });
    expect(await whoami(port, { pair })).toMatch(/^401 Unauthorized: this apiserver passes bearer tokens on/);
  });
});

describe('a request through the gateway', () => {
  it('reads, writes and deletes as at the cluster itself', async () => {
    const port = await gateway();
    const both = async (path: string, call: ApiCall = {}): Promise<ApiAnswer> => {
      const [through, direct] = [await cluster.call(path, { ...call, port }), await cluster.call(path, call)];
      expect([through.status, through.json]).toEqual([direct.status, direct.json]);
      return through;
    };
    await cluster.call('/api/v1/namespaces', { method: 'POST', body: namespace('made'), port });
    await both('/api/v1/namespaces/made');
    await both('/api/v1/namespaces');
    await both('/api/v1/namespaces', { headers: { Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } });
    await both('/api/v1/namespaces/none');
    await both('/apis');
    await both('/version');
    const patch = { method: 'PATCH', body: { metadata: { labels: { a: 'b' } } } };
    const headers = { 'Content-Type': 'application/merge-patch+json' };
    expect((await cluster.call('/api/v1/namespaces/made', { ...patch, headers, port })).status).toBe(200);
    expect((await cluster.call('/api/v1/namespaces/made', { method: 'DELETE', port })).status).toBe(200);
  });

  it('brings each event of a watch when it happens, and ends with the gateway', async () => {
    const port = await gateway();
    const watch = httpsRequest({
      port,
      host: '127.0.0.1',
      path: '/api/v1/namespaces?watch=true',
      ca: cluster.authority.certificate,
      headers: { Authorization: `Bearer ${testTokens.admin}` },
      agent: false,
    });
    const answer = once(watch.end(), 'response') as Promise<[IncomingMessage]>;
    const [response] = await answer;
    const lines: string[] = [];
    response.setEncoding('utf8').on('data', (text: string) => lines.push(...text.split('\n').filter(Boolean)));
    const ended = new Promise((resolve) => response.on('error', () => {}).once('close', resolve));
    const seen = (name: string): Promise<void> =>
      new Promise((resolve) => {
        const look = (): void => {
          if (lines.some((line) => line.includes(`"name":"${name}"`))) resolve();
        };
        response.on('data', look);
        look();
      });
    await seen('default');
    await cluster.call('/api/v1/namespaces', { method: 'POST', body: namespace('later') });
    await seen('later');
    await gateways.splice(0)[0]?.close();
    await ended;
  });

  it('says that the cluster cannot be reached, with 503 and where it was looked for', async () => {
    const server = new URL('https://127.0.0.1:1');
    const port = await gateway({ upstream: { server, token: 'x', insecureSkipTlsVerify: true } });
    const { status, json } = await cluster.call('/api/v1/pods', { port });
    expect(status).toBe(503);
    expect(json).toMatchObject({
      kind: 'Status',
      reason: 'ServiceUnavailable',
      message: expect.stringMatching(
        /^the cluster behind this apiserver cannot be reached: cannot connect to 127.0.0.1:1: /,
      ) as string,
    });
  });

  it('blames the gateway’s own credentials, not the caller’s, when the cluster refuses them', async () => {
    const server = new URL(cluster.url);
    const certificateAuthority = { pem: cluster.authority.certificate };
    const strangers = await CertificateAuthority.create('strangers');
    const pair = await strangers.issue({ commonName: 'gateway', usages: ['client'] });
    const certificate = { clientCertificate: { pem: pair.certificate }, clientKey: { pem: pair.key } };
    const headers = { Connection: 'Upgrade', Upgrade: 'SPDY/3.1', 'X-Stream-Protocol-Version': 'v4.channel.k8s.io' };
    for (const credentials of [{ token: 'stale' }, certificate]) {
      const port = await gateway({ upstream: { server, certificateAuthority, ...credentials } });
      for (const call of [{}, { method: 'POST', headers }]) {
        const path = `/api/v1/namespaces/default/pods${'headers' in call ? '/web/exec?command=true&stdout=true' : ''}`;
        const { status, json } = await cluster.call(path, { ...call, port });
        expect(json).toMatchObject({
          message: expect.stringContaining("refuses this apiserver's own credentials (401)") as string,
        });
        expect(status).toBe(503);
      }
    }
  });

  it('does not wait for ever for a cluster that takes it and says nothing', async () => {
    const silent = createHttpServer(() => {});
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const server = new URL(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`);
    const port = await gateway({ upstream: { server, token: 'x' }, requestTimeoutMs: 200 });
    const { status, json } = await cluster.call('/api/v1/pods', { port });
    expect([status, (json as { message: string }).message]).toEqual([
      503,
      'the cluster behind this apiserver cannot be reached: no answer within 200 ms',
    ]);
    silent.close();
  });

  it('is cut for the client too when the cluster’s answer is cut', async () => {
    const half = createHttpServer((_request, response) => {
      response.writeHead(200, { 'Content-Length': 100 }).write('half');
      setImmediate(() => response.destroy());
    });
    half.listen(0, '127.0.0.1');
    await once(half, 'listening');
    const server = new URL(`http://127.0.0.1:${(half.address() as AddressInfo).port}`);
    const port = await gateway({ upstream: { server, token: 'x' } });
    await expect(cluster.call('/api/v1/pods', { port })).rejects.toThrow(/aborted|ECONNRESET/);
    half.close();
  });
});
