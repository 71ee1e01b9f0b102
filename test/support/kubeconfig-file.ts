/**
 * A kubeconfig, as JSON, which is YAML too, for one server on loopback without authentication. client-node speaks plain
 * HTTP only where TLS need not be verified.
 */
export function kubeconfigFile(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'test', user: {} }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  });
}
