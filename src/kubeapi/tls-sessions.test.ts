import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { failureOf } from '../../test/support/failure.ts';
import { Loopback, type TlsPeer } from '../../test/support/loopback.ts';
import { CertificateAuthority } from '../pki/authority.ts';
import { TLS_SESSION_MS, TlsSessions } from './tls-sessions.ts';
import { createTransport, type Transport } from './transport.ts';

const loopback = new Loopback();
let authority: CertificateAuthority;
beforeAll(async () => {
  authority = await CertificateAuthority.create('test-ca');
});
afterEach(() => loopback.close());

async function peer(signer = authority, port = 0): Promise<TlsPeer> {
  const pair = await signer.issue({ commonName: 'server', hosts: ['127.0.0.1'], usages: ['server'] });
  return loopback.listenTls({ cert: pair.certificate, key: pair.key }, port);
}

function transportTo(port: number): Transport {
  const server = new URL(`https://127.0.0.1:${port}`);
  return createTransport({ server, certificateAuthority: { pem: authority.certificate } }, { env: {} });
}

/** One connection, held until what the server gives for the next one is there. @returns whether it was resumed */
async function visit(dial: () => Promise<TLSSocket>, peer: TlsPeer): Promise<boolean> {
  const [socket] = await Promise.all([dial(), peer.next()]);
  const isReused = socket.isSessionReused();
  // Node's servers give nothing new to those who resume.
  if (!isReused) await once(socket.resume(), 'session');
  socket.destroy();
  return isReused;
}

describe('a transport', () => {
  it('shows certificates to a server once, and then resumes', async () => {
    const server = await peer();
    const transport = transportTo(server.port);
    const dial = (): Promise<TLSSocket> => transport.connect(transport.server) as Promise<TLSSocket>;
    expect([await visit(dial, server), await visit(dial, server), await visit(dial, server)]).toEqual([
      false,
      true,
      true,
    ]);
  });

  it('resumes nothing with whoever else listens there later', async () => {
    const server = await peer();
    const transport = transportTo(server.port);
    const dial = (): Promise<TLSSocket> => transport.connect(transport.server) as Promise<TLSSocket>;
    await visit(dial, server);
    await loopback.close();
    const other = await peer(await CertificateAuthority.create('stranger-ca'), server.port);
    expect((await failureOf(transport.connect(new URL(`https://127.0.0.1:${other.port}`)))).message).toMatch(
      /set certificate-authority/,
    );
  });
});

describe('a TLS session', () => {
  it('is offered for five minutes from the handshake that showed certificates, however often it is resumed', async () => {
    const server = await peer();
    let now = 0;
    const sessions = new TlsSessions(() => now);
    const dial = async (): Promise<TLSSocket> => {
      const session = sessions.offer('server');
      const options = { host: '127.0.0.1', port: server.port, ca: authority.certificate };
      const socket = connect({ ...options, ...(session && { session }) });
      sessions.learn('server', socket);
      await once(socket, 'secureConnect');
      return socket;
    };
    const reused: boolean[] = [];
    for (now of [0, TLS_SESSION_MS / 2, TLS_SESSION_MS - 1, TLS_SESSION_MS, TLS_SESSION_MS + 1]) {
      reused.push(await visit(dial, server));
    }
    expect(reused).toEqual([false, true, true, false, true]);
  });
});
