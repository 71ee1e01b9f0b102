import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { expect, it } from 'vitest';
import type { IncomingStream } from '../../src/httpstream/index.ts';
import { type AcceptedSpdy, acceptSpdy, dialSpdy } from '../../src/httpstream/index.ts';
import { CertificateAuthority } from '../../src/pki/index.ts';
import { readAll } from '../support/read-all.ts';

it('carries streams over TLS behind an HTTPS server, half-close and goodbye included', async () => {
  const authority = await CertificateAuthority.create('test');
  const pair = await authority.issue({ commonName: 'node', hosts: ['127.0.0.1'], usages: ['server'] });
  const server = createServer({ cert: pair.certificate, key: pair.key });
  const accepting = new Promise<AcceptedSpdy>((resolve) => {
    server.on('upgrade', (request, socket, head) => {
      const onStream = (incoming: IncomingStream): void => {
        const stream = incoming.accept();
        stream.pipe(stream);
      };
      const accepted = acceptSpdy(request, socket, head, ['v4.channel.k8s.io'], { onStream });
      if (accepted !== undefined) resolve(accepted);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket: TLSSocket = connect({
    port,
    host: '127.0.0.1',
    ca: authority.certificate,
    ALPNProtocols: ['http/1.1'],
  });
  await once(socket, 'secureConnect');
  const { session } = await dialSpdy(socket, { path: '/', headers: [['Host', 'x']], protocols: ['v4.channel.k8s.io'] });
  const stream = await session.openStream({ streamtype: 'data' });
  const payload = randomBytes(4 * 1024 * 1024);
  stream.end(payload);
  const echo = await readAll(stream);
  expect(createHash('sha256').update(echo).digest('hex')).toBe(createHash('sha256').update(payload).digest('hex'));
  const accepted = await accepting;
  await accepted.session.close();
  expect(await accepted.session.closed).toEqual({ kind: 'clean', by: 'local' });
  expect(await session.closed).toEqual({ kind: 'clean', by: 'remote' });
  server.close();
});
