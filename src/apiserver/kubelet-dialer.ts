import { createTransport } from '../kubeapi/index.ts';
import type { DialKubelet } from './streaming-route.ts';

export interface KubeletDialerOptions {
  /** `--kubelet-client-certificate`: PEM file with which this apiserver shows itself; read again when it changes. */
  readonly clientCertificateFile?: string;
  /** `--kubelet-client-key`. */
  readonly clientKeyFile?: string;
  /** `--kubelet-certificate-authority`: PEM file; without it a kubelet's certificate is not checked, as upstream does. */
  readonly certificateAuthorityFile?: string;
  /** `--kubelet-timeout`: for the connection alone; default {@link KUBELET_DIAL_TIMEOUT_MS}. */
  readonly timeoutMs?: number;
}

/** Upstream's `--kubelet-timeout`, in ms. */
export const KUBELET_DIAL_TIMEOUT_MS = 5_000;

/** Bytes that a TLS connection takes at once; relays copy better with few large reads. */
const BUFFER_BYTES = 1024 * 1024;

/** Dials kubelets by https, never through a proxy of the environment: nodes are reached directly. */
export function kubeletDialer(options: KubeletDialerOptions = {}): DialKubelet {
  const { clientCertificateFile, clientKeyFile, certificateAuthorityFile } = options;
  // One for all: each dial names its kubelet, and what TLS needs is made once and not for every session.
  const transport = createTransport(
    {
      server: new URL('https://localhost:10250'),
      ...(certificateAuthorityFile === undefined
        ? { insecureSkipTlsVerify: true }
        : { certificateAuthority: { file: certificateAuthorityFile } }),
      ...(clientCertificateFile === undefined ? {} : { clientCertificate: { file: clientCertificateFile } }),
      ...(clientKeyFile === undefined ? {} : { clientKey: { file: clientKeyFile } }),
    },
    { hop: 'kubelet', env: {} },
  );
  const timeoutMs = options.timeoutMs ?? KUBELET_DIAL_TIMEOUT_MS;
  return async ({ scheme, authority }, signal) => {
    const kubelet = new URL(`${scheme}://${authority}`);
    return await transport.connect(kubelet, { signal, timeoutMs, highWaterMark: BUFFER_BYTES });
  };
}
