import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ApiCall, ApiWorld, testTokens } from '../../test/support/api-world.ts';
import { CertificateAuthority, type KeyPair, writePair } from '../pki/index.ts';
import { startApiserver } from './main.ts';

let world: ApiWorld;

beforeEach(async () => {
  world = await ApiWorld.start();
  return () => world[Symbol.asyncDispose]();
});

afterEach(() => {
  vi.useRealTimers();
});

const whoami = async (call: ApiCall = {}, target: ApiWorld = world): Promise<unknown> => {
  const { status, json } = await target.call('/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    method: 'POST',
    body: {},
    token: '',
    ...call,
  });
  const review = json as { message?: string; status?: { userInfo?: { username: string; groups: string[] } } };
  if (status === 201) return [review.status?.userInfo?.username, ...(review.status?.userInfo?.groups ?? [])].join(' ');
  return `${status} ${review.message}`;
};

/** The status line of an answer on `socket`. */
async function answerOn(socket: TLSSocket): Promise<string> {
  socket.write('GET /version HTTP/1.1\r\nHost: x\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return answer.toString().split('\r\n', 1)[0] ?? '';
}

describe('a client certificate', () => {
  it('is a user by its CN and groups by its O', async () => {
    const pair = await world.issue({ commonName: 'ann', organizations: ['dev', 'ops'] });
    expect(await whoami({ pair })).toBe('ann dev ops system:authenticated');
    const alone = await world.issue({ commonName: 'bert' });
    expect(await whoami({ pair: alone })).toBe('bert system:authenticated');
  });

  it('counts for nothing from a stranger’s authority, even under our own’s name', async () => {
    const stranger = await CertificateAuthority.create('test-ca');
    const pair = await stranger.issue({ commonName: 'ann', organizations: ['system:masters'], usages: ['client'] });
    expect(await whoami({ pair })).toBe('401 Unauthorized');
  });

  it('counts for nothing when it is a server’s', async () => {
    const pair = await world.authority.issue({ commonName: 'ann', usages: ['server'], hosts: ['ann'] });
    expect(await whoami({ pair })).toBe('401 Unauthorized');
  });

  it('counts for nothing once its time is over, on an open connection too', async () => {
    const pair = await world.issue({ commonName: 'ann', validForMs: 3_600_000 });
    const socket = await world.connect(pair);
    expect(await answerOn(socket)).toBe('HTTP/1.1 200 OK');
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.setSystemTime(Date.now() + 2 * 3_600_000);
    expect(await answerOn(socket)).toBe('HTTP/1.1 401 Unauthorized');
    socket.destroy();
  });

  /** The answer to a request on a resumed TLS session; the one before is held until its ticket is there. */
  const resumed = async (pair: KeyPair, between: () => Promise<void> = async () => {}): Promise<string> => {
    const first = await world.connect(pair);
    const ticket = once(first, 'session') as Promise<[Buffer]>;
    await answerOn(first);
    const [session] = await ticket;
    first.destroy();
    await between();
    const { ca, cert, key } = { ca: world.authority.certificate, cert: pair.certificate, key: pair.key };
    const second = connectTls({ host: '127.0.0.1', port: world.port, ca, cert, key, session });
    await once(second, 'secureConnect');
    const isReused = second.isSessionReused();
    const answer = await answerOn(second);
    second.destroy();
    return `${isReused ? 'resumed' : 'anew'}: ${answer}`;
  };

  it('is known again when a TLS session is resumed', async () => {
    expect(await resumed(await world.issue({ commonName: 'ann' }))).toBe('resumed: HTTP/1.1 200 OK');
  });

  it('from a stranger’s authority counts for nothing on a resumed session either', async () => {
    const stranger = await CertificateAuthority.create('test-ca');
    const pair = await stranger.issue({ commonName: 'ann', organizations: ['system:masters'], usages: ['client'] });
    expect(await resumed(pair)).toBe('resumed: HTTP/1.1 401 Unauthorized');
  });

  it('is asked for anew when the client CA has changed since', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const rotating = world;
    world = await ApiWorld.start();
    const next = await CertificateAuthority.create('next-ca');
    const rotate = async (): Promise<void> => {
      writeFileSync(world.files.clientCaFile, next.certificate);
      await vi.advanceTimersByTimeAsync(5000);
      await vi.waitFor(async () => expect(await whoami({ pair })).toBe('401 Unauthorized'));
    };
    const pair = await world.issue({ commonName: 'ann' });
    expect(await resumed(pair, rotate)).toBe('anew: HTTP/1.1 401 Unauthorized');
    await world[Symbol.asyncDispose]();
    world = rotating;
  });

  it('beats a token that comes with it', async () => {
    const pair = await world.issue({ commonName: 'ann' });
    const headers = { Authorization: `Bearer ${testTokens.bob}` };
    expect(await whoami({ pair, headers })).toBe('ann system:authenticated');
  });
});

describe('a bearer token', () => {
  it('is a user of the token file', async () => {
    expect(await whoami({ token: testTokens.bob })).toBe('bob dev ops system:authenticated');
    expect(await whoami({ headers: { Authorization: `bearer  ${testTokens.bob}` } })).toBe(
      'bob dev ops system:authenticated',
    );
  });

  it.each([['Bearer nope'], ['Bearer'], ['Basic YTpi'], [testTokens.bob], ['Bearer a b']])(
    'is none as %j',
    async (text) => {
      expect(await whoami({ headers: { Authorization: text } })).toBe('401 Unauthorized');
    },
  );
});

describe('a caller without credentials', () => {
  it('is refused', async () => {
    expect(await whoami()).toBe('401 Unauthorized');
    const { headers, json } = await world.call('/healthz', { token: '' });
    expect(json).toMatchObject({ kind: 'Status', reason: 'Unauthorized', code: 401 });
    expect(headers['audit-id']).toBeDefined();
  });

  it('is system:anonymous where that is allowed, but wrong credentials are wrong all the same', async () => {
    const open = await ApiWorld.start({ anonymousAuth: true });
    expect(await open.call('/healthz', { token: '' })).toMatchObject({ status: 200 });
    expect(await open.call('/api/v1/nodes', { token: '' })).toMatchObject({
      status: 403,
      json: {
        message:
          'nodes is forbidden: User "system:anonymous" cannot list resource "nodes" in API group "" at the cluster scope',
      },
    });
    expect(await open.call('/healthz', { token: 'nope' })).toMatchObject({ status: 401 });
    expect(await open.call('/healthz', { token: '', headers: { Authorization: 'Basic YTpi' } })).toMatchObject({
      status: 401,
    });
    const pair = await world.issue({ commonName: 'ann' });
    expect(await open.call('/healthz', { pair })).toMatchObject({ status: 401 });
    await open[Symbol.asyncDispose]();
  });
});

describe('the files of the server', () => {
  it('are followed: a new token file, a new client CA, a new certificate', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
    const followed = await ApiWorld.start();
    writeFileSync(followed.files.tokenAuthFile, 'fresh,fred,1\n');
    vi.setSystemTime(Date.now() + 2000);
    expect(await whoami({ token: 'fresh' }, followed)).toBe('fred system:authenticated');
    expect(await whoami({ token: testTokens.bob }, followed)).toBe('401 Unauthorized');

    const next = await CertificateAuthority.create('next-ca');
    const pair = await next.issue({ commonName: 'nina', usages: ['client'] });
    expect(await whoami({ pair }, followed)).toBe('401 Unauthorized');
    writeFileSync(followed.files.clientCaFile, next.certificate);
    await vi.advanceTimersByTimeAsync(5000);
    await vi.waitFor(async () => expect(await whoami({ pair }, followed)).toBe('nina system:authenticated'));

    const renewed = await followed.authority.issue({ commonName: 'renewed', hosts: ['127.0.0.1'], usages: ['server'] });
    await writePair(followed.folder, 'apiserver', renewed);
    await vi.advanceTimersByTimeAsync(5000);
    await vi.waitFor(async () => {
      const socket = await followed.connect();
      const { subject } = socket.getPeerCertificate();
      socket.destroy();
      expect(subject.CN).toBe('renewed');
    });
    await followed[Symbol.asyncDispose]();
  });

  it.each([
    [{ insecurePort: 0, tlsCertFile: 'x' }, /go together: give both or none/],
    [{}, /needs --tls-cert-file and --tls-private-key-file, or --insecure-port/],
    [{ insecurePort: 0, clientCaFile: 'x' }, /--client-ca-file needs --tls-cert-file/],
    [{ insecurePort: 0, corsAllowedOrigins: ['('] }, /"\(" is not a regular expression/],
    [{ insecurePort: 0, tokenAuthFile: '/nope' }, /the token file \/nope cannot be used/],
  ])('and flags that do not go together are refused: %j', async (options, message) => {
    await expect(startApiserver(options)).rejects.toThrow(message);
  });

  it('and an unreadable certificate is refused with its name, and nothing is left listening', async () => {
    await expect(
      startApiserver({ securePort: 0, tlsCertFile: '/nope.crt', tlsPrivateKeyFile: '/nope.key' }),
    ).rejects.toMatchObject({ code: 'ERR_CERTIFICATE', message: expect.stringContaining('/nope.crt') as string });
  });
});

describe('plain http', () => {
  it('is served on loopback when asked for, with the same authentication', async () => {
    const plain = await startApiserver({ insecurePort: 0, tokenAuthFile: world.files.tokenAuthFile });
    expect(plain.address).toBeUndefined();
    const { host, url } = plain.insecureAddress ?? { host: '', url: '' };
    expect(host).toBe('127.0.0.1');
    expect((await fetch(`${url}/api`)).status).toBe(401);
    const answer = await fetch(`${url}/version`, { headers: { Authorization: `Bearer ${testTokens.bob}` } });
    expect(answer.status).toBe(200);
    await answer.arrayBuffer();
    await plain.close();
  });
});
