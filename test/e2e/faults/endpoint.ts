import { createTransport, type Transport } from '../../../src/kubeapi/index.ts';

/** Where a server of the path listens. */
export interface Endpoint {
  /** `http://127.0.0.1:PORT` or `https://…` */
  readonly url: string;
  /** PEM of the authority that vouches for it; absent for plain HTTP. */
  readonly ca?: string;
}

/** The way there, without credentials. */
export function transportTo({ url, ca }: Endpoint): Transport {
  return createTransport({ server: new URL(url), ...(ca === undefined ? {} : { certificateAuthority: { pem: ca } }) });
}
