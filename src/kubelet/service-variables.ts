import type { Service, ServicePort } from '../kubeapi/index.ts';

/**
 * The variables by which a container finds services: `WEB_SERVICE_HOST`, `WEB_SERVICE_PORT`, one more for each port with a
 * name, and those of Docker's links. A service without an address of its own has none.
 *
 * @see kubernetes pkg/kubelet/envvars
 */
export function serviceVariables(services: readonly Service[]): ReadonlyMap<string, string> {
  const variables = new Map<string, string>();
  for (const { metadata, spec } of services) {
    const { clusterIP = '', ports = [] } = spec ?? {};
    const [first] = ports;
    if (clusterIP === '' || clusterIP === 'None' || first === undefined) continue;
    const prefix = variableName(metadata.name);
    variables.set(`${prefix}_SERVICE_HOST`, clusterIP);
    variables.set(`${prefix}_SERVICE_PORT`, String(first.port));
    for (const { name = '', port } of ports) {
      if (name !== '') variables.set(`${prefix}_SERVICE_PORT_${variableName(name)}`, String(port));
    }
    variables.set(`${prefix}_PORT`, urlOf(clusterIP, first));
    for (const port of ports) {
      const link = `${prefix}_PORT_${port.port}_${protocolOf(port)}`;
      variables.set(link, urlOf(clusterIP, port));
      variables.set(`${link}_PROTO`, protocolOf(port).toLowerCase());
      variables.set(`${link}_PORT`, String(port.port));
      variables.set(`${link}_ADDR`, clusterIP);
    }
  }
  return variables;
}

function variableName(name: string): string {
  return name.toUpperCase().replaceAll('-', '_');
}

function protocolOf({ protocol = 'TCP' }: ServicePort): string {
  return protocol;
}

function urlOf(address: string, port: ServicePort): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return `${protocolOf(port).toLowerCase()}://${host}:${port.port}`;
}
