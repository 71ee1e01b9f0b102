import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Listener, listen, proxyUpgrade, refuseUpgrade } from '../../src/httpstream/index.ts';
import type { KeyPair } from '../../src/pki/index.ts';
import { answerParent } from '../worker.ts';

export interface RelayHopConfig {
  readonly targetPort: number;
  /** TLS on both sides: our certificate, and the authority of the target's. Default: plain. */
  readonly tls?: KeyPair & { readonly ca: string };
}

/** As the hops that dial set it. */
const dialBuffers = { highWaterMark: 1024 * 1024 };

let listener: Listener | undefined;

// One relay hop of ours with nothing else in it: the listener and the upgrade proxy that apiserver and kubelet use.
answerParent({
  start: async ({ targetPort, tls }: RelayHopConfig) => {
    listener = await listen({
      ...(tls === undefined
        ? {}
        : { tls: { material: { cert: tls.certificate, key: tls.key }, serve: () => () => {} } }),
      onRequest: (_request, response) => response.writeHead(400).end(),
      onUpgrade: (request, socket, head) => {
        void proxyUpgrade(
          { request, socket, head },
          { path: request.url ?? '/', connect: () => dial(targetPort, tls?.ca) },
          { refuse: (refused, { message }) => refuseUpgrade(refused, 502, message) },
        );
      },
    });
  },
  port: () => listener?.port,
  close: () => listener?.close(0),
});

async function dial(port: number, ca: string | undefined): Promise<Socket> {
  const socket = connectTcp({ host: '127.0.0.1', port, noDelay: true, ...dialBuffers });
  if (ca === undefined) {
    await once(socket, 'connect');
    return socket;
  }
  await once(socket, 'connect');
  const secure = connectTls({ socket, ca, ALPNProtocols: ['http/1.1'], ...dialBuffers });
  await once(secure, 'secureConnect');
  return secure;
}
