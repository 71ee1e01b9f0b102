import { describe, expect, it } from 'vitest';
import type { Service } from '../kubeapi/index.ts';
import { serviceVariables } from './service-variables.ts';

const service = (name: string, spec: Service['spec'] = {}): Service => ({ metadata: { name }, spec });

describe('the variables of services', () => {
  it('name address and ports, also as links', () => {
    const ports = [
      { name: 'http', port: 80 },
      { name: 'query-2', port: 53, protocol: 'UDP' as const },
    ];
    expect(Object.fromEntries(serviceVariables([service('my-web', { clusterIP: '10.0.0.5', ports })]))).toEqual({
      MY_WEB_SERVICE_HOST: '10.0.0.5',
      MY_WEB_SERVICE_PORT: '80',
      MY_WEB_SERVICE_PORT_HTTP: '80',
      MY_WEB_SERVICE_PORT_QUERY_2: '53',
      MY_WEB_PORT: 'tcp://10.0.0.5:80',
      MY_WEB_PORT_80_TCP: 'tcp://10.0.0.5:80',
      MY_WEB_PORT_80_TCP_PROTO: 'tcp',
      MY_WEB_PORT_80_TCP_PORT: '80',
      MY_WEB_PORT_80_TCP_ADDR: '10.0.0.5',
      MY_WEB_PORT_53_UDP: 'udp://10.0.0.5:53',
      MY_WEB_PORT_53_UDP_PROTO: 'udp',
      MY_WEB_PORT_53_UDP_PORT: '53',
      MY_WEB_PORT_53_UDP_ADDR: '10.0.0.5',
    });
  });

  it('write an address of IPv6 as a URL has it', () => {
    const variables = serviceVariables([service('six', { clusterIP: 'fd00::5', ports: [{ port: 80 }] })]);
    expect(variables.get('SIX_PORT')).toBe('tcp://[fd00::5]:80');
    expect(variables.get('SIX_SERVICE_HOST')).toBe('fd00::5');
  });

  it.each([{}, { clusterIP: 'None', ports: [{ port: 80 }] }, { clusterIP: '', ports: [{ port: 80 }] }])(
    'leave out a service without an address: %j',
    (spec) => {
      expect(serviceVariables([service('x', spec)]).size).toBe(0);
    },
  );
});
