import { ExecPathError } from '../common/errors.ts';
import { createTransport, loadClientConfig, type Transport } from '../kubeapi/index.ts';
import type { ServerOptions } from './exec-options.ts';

/**
 * The way to the server that `options` name: an apiserver, or a kubelet called directly.
 *
 * At a kubelet the server and the `tls-server-name` of the kubeconfig's cluster do not count: they are the apiserver's.
 *
 * @throws ExecPathError ERR_KUBECONFIG
 */
export async function openServer(options: ServerOptions): Promise<Transport> {
  if (options.api !== undefined) return options.api;
  const { overrides = {}, kubelet } = options;
  const search = options.kubeconfig === undefined ? {} : { kubeconfig: options.kubeconfig };
  if (kubelet === undefined) return createTransport(await loadClientConfig({ ...search, overrides }));
  const server = kubeletServer(kubelet);
  const config = await loadClientConfig({ ...search, overrides: { ...overrides, server } });
  return createTransport({ ...config, tlsServerName: overrides.tlsServerName }, { hop: 'kubelet' });
}

/** A kubelet's address without a scheme is https: nothing else holds a node's exec. */
function kubeletServer(address: string | URL): string {
  const text = String(address);
  const full = text.includes('://') ? text : `https://${text}`;
  if (!URL.canParse(full) || !/^https?:/.test(full)) {
    throw new ExecPathError('ERR_BAD_REQUEST', `the kubelet ${JSON.stringify(text)} is not https://NODE:10250`, {
      hop: 'client',
    });
  }
  return full;
}
