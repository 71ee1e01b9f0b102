import { once } from 'node:events';
import { connect } from 'node:net';
import { type Apiserver, createStreamingHandler, kubeletDialer, startApiserver } from '../../src/apiserver/index.ts';
import type { StoredPair } from '../../src/pki/index.ts';
import { memoryInUse } from '../memory-in-use.ts';
import { answerParent } from '../worker.ts';

export interface ApiserverHopConfig {
  /** Default: plain HTTP on both sides, and everybody may do everything. */
  readonly tls?: { readonly caFile: string; readonly serving: StoredPair; readonly kubeletClient: StoredPair };
}

let apiserver: Apiserver | undefined;

// Hop 2 as a process of its own.
answerParent({
  start: async ({ tls }: ApiserverHopConfig) => {
    const common = { kubeletPreferredAddressTypes: ['InternalIP'] as const, shutdownGraceMs: 0 };
    if (tls === undefined) {
      const onConnect = createStreamingHandler(async ({ host, port }) => {
        const socket = connect({ host, port, noDelay: true });
        await once(socket, 'connect');
        return socket;
      });
      apiserver = await startApiserver({
        ...common,
        insecurePort: 0,
        anonymousAuth: true,
        authorizationMode: 'AlwaysAllow',
        onConnect,
      });
      return;
    }
    const onConnect = createStreamingHandler(
      kubeletDialer({
        clientCertificateFile: tls.kubeletClient.certificateFile,
        clientKeyFile: tls.kubeletClient.keyFile,
        certificateAuthorityFile: tls.caFile,
      }),
    );
    apiserver = await startApiserver({
      ...common,
      securePort: 0,
      tlsCertFile: tls.serving.certificateFile,
      tlsPrivateKeyFile: tls.serving.keyFile,
      clientCaFile: tls.caFile,
      onConnect,
    });
  },
  url: () => (apiserver?.address ?? apiserver?.insecureAddress)?.url,
  memory: memoryInUse,
  close: () => apiserver?.close(),
});
