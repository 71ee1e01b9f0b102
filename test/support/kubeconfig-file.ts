/**
 * A kubeconfig, as JSON, which is YAML too, for one server on loopback. client-node speaks plain HTTP only where TLS need
 * not be verified.
 *
 * @param user default: nobody; kubectl asks a person for a name and a password then, where the server is https
 */
export function kubeconfigFile(server: string, user: { readonly token?: string } = {}): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'test', user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  });
}
