import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { BackgroundChild } from './child.ts';
import { expectNothingLeft, holdings } from './leaks.ts';

it('counts files, sockets and processes that are there, and their end', async () => {
  const marker = `leak-marker-${process.pid}`;
  const before = holdings(process.pid, marker);
  // Not /dev/null, which does not count; and many, for the test runner may open and close files meanwhile.
  const files = Array.from({ length: 30 }, () => openSync(process.execPath, 'r'));
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const child = new BackgroundChild('sleep', ['1000'], { env: { ...process.env, MARKER: marker } });
  const during = holdings(process.pid, marker);
  expect(during.processes).toHaveLength(1);
  expect(during.sockets).toBeGreaterThan(before.sockets);
  expect(during.files).toBeGreaterThan(before.files + 15);
  await expect(expectNothingLeft(process.pid, before, { marker, deadlineMs: 100 })).rejects.toThrow('sleep 1000');
  for (const file of files) closeSync(file);
  server.close();
  await child.stop();
  await expectNothingLeft(process.pid, before, { marker });
});
