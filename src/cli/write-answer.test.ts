import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { podOf } from '../../test/support/exec-server.ts';
import { MemoryIo } from '../../test/support/memory-io.ts';
import { runCli } from './index.ts';

const server = createServer((request, response) => {
  if (request.url?.includes('/log') !== true) {
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(podOf(['main'])));
    return;
  }
  response.write('one line\n', () => response.socket?.destroy());
});

afterEach(() => server.close());

it('says that a server went away in the middle of a log, and calls it no defect', async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const argv of [
    ['logs', 'web', '-f'],
    ['get', '--raw', '/log'],
  ]) {
    const io = new MemoryIo();
    expect(await runCli([...argv, '-s', url], io)).toBe(1);
    expect(io.out.text).toBe('one line\n');
    expect(io.err.text).toBe(
      'error: the answer broke off: the peer closed the connection\n' +
        '  where:   apiserver\n' +
        '  rule:    the connection ended without its goodbye (ERR_CONNECTION_LOST)\n',
    );
  }
});
