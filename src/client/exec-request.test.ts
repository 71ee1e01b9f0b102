import { expect, it } from 'vitest';
import { createTransport } from '../kubeapi/index.ts';
import { type ExecRequest, execUrl } from './exec-request.ts';

const server = new URL('http://127.0.0.1:1');
const request: ExecRequest = {
  subresource: 'attach',
  namespace: 'ns',
  pod: 'web',
  container: 'main',
  command: [],
  stdin: true,
  stdout: true,
  stderr: true,
  tty: false,
};

it('asks an apiserver and a kubelet for an attach in the words of each', () => {
  const apiserver = createTransport({ server }, { env: {} });
  expect(execUrl(apiserver, request).href).toBe(
    'http://127.0.0.1:1/api/v1/namespaces/ns/pods/web/attach?container=main&stderr=true&stdin=true&stdout=true',
  );
  const kubelet = createTransport({ server }, { env: {}, hop: 'kubelet' });
  expect(execUrl(kubelet, { ...request, tty: true }).href).toBe(
    'http://127.0.0.1:1/attach/ns/web/main?input=1&output=1&tty=1',
  );
});

it('refuses an exec without a command, and a session without streams', () => {
  const api = createTransport({ server }, { env: {} });
  expect(() => execUrl(api, { ...request, subresource: 'exec' })).toThrow('at least one command');
  expect(() => execUrl(api, { ...request, stdin: false, stdout: false, stderr: false })).toThrow(
    'at least one of stdin',
  );
});
